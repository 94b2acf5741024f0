-- look_end: ends a look at a user's book, or asks for one sooner.
--
-- Guarantee: a user with unconfirmed jobs is looked at again `after_us` from now at the latest, one without is forgotten.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: uid, look (its id; "": none of ours, an earlier time is asked for), after_us
-- return   JSON: {unconfirmed (jobs)}
-- uses     base, lease, board

despite_full_memory()
local input = cjson.decode(ARGV[1])
local uid, now = input.uid, clock()
lease_end(K.looking(uid), input.look)
local left = redis.call('ZCARD', K.unconfirmed(uid))
if left == 0 then redis.call('ZREM', K.looks(), uid)
else look_due(uid, now + input.after_us, input.look ~= '') end
return '{"unconfirmed":' .. left .. '}'
