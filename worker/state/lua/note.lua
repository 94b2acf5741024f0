-- note: writes what workers know of accounts: for producers, which have no settings of theirs, and for each other.
--
-- Guarantee: all fields are written in one step. A full Redis takes them, too: a worker that cannot tell who its accounts
-- are sends nothing.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: note ("accounts" | "algo_limits" | "identity" | "sources"), fields {field: text}, alone (whether all other fields go)
-- return   JSON: {}
-- uses     base

despite_full_memory()
local input = cjson.decode(ARGV[1])
local KEY = { accounts = K.accounts, algo_limits = K.algo_limits, identity = K.identity, sources = K.sources }
local key = KEY[input.note]()
if input.alone then redis.call('DEL', key) end
for field, value in pairs(input.fields) do redis.call('HSET', key, field, value) end
return '{}'
