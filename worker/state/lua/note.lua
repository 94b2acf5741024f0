-- note: writes what is known of accounts: by workers, for producers, which have no settings of theirs, and for each other;
-- by who moves one to this shard, of its batches that stay on another one.
--
-- Guarantee: all fields are written in one step. A full Redis takes them, too: a worker that cannot tell who its accounts
-- are sends nothing.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: note ("accounts" | "algo_limits" | "elsewhere" | "identity" | "sources"), fields {field: text}, alone (whether all
--          other fields go), keep_s (how long all of them are kept; 0: for good)
-- return   JSON: {}
-- uses     base

despite_full_memory()
local input = cjson.decode(ARGV[1])
local KEY = { accounts = K.accounts, algo_limits = K.algo_limits, elsewhere = K.elsewhere, identity = K.identity,
  sources = K.sources }
local key = KEY[input.note]()
if input.alone then redis.call('DEL', key) end
for field, value in pairs(input.fields) do redis.call('HSET', key, field, value) end
if input.keep_s > 0 then redis.call('EXPIRE', key, input.keep_s) end
return '{}'
