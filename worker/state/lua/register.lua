-- register: under which UID setting a User ID is served, by every worker of every runner on this Redis.
--
-- Guarantee: until kept_s after somebody last registered it, everybody is told the same. A full Redis takes it, too.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: user (its address and User ID at the exchange), uid (the setting of whoever asks), kept_s
-- return   JSON: {uid (the setting under which it is served)}
-- uses     base

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key = K.user(input.user)
local served = redis.call('GET', key) or input.uid
if served == input.uid then redis.call('SET', key, served, 'EX', input.kept_s) end
return '{"uid":' .. cjson.encode(served) .. '}'
