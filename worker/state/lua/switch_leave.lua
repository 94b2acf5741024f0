-- switch_leave: a worker no longer keeps a user's dead man's switch armed; the last one holds it, to disarm it.
--
-- Guarantee: of the workers that leave, only one after which none was seen for fresh_us is told that it is the last; nobody
-- else holds the switch before its lease ends. Any other hands over at once. Given twice, it answers the same. What the
-- holder notes of the switch is written.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: uid, worker, lease_us, fresh_us, note {field: text}
-- return   JSON: {last}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, others, now = K.switch(input.uid), K.switchers(input.uid), clock()
redis.call('ZREM', others, input.worker)
redis.call('ZREMRANGEBYSCORE', others, '-inf', text(now - input.fresh_us))
local last = redis.call('ZCARD', others) == 0
local holds = redis.call('HGET', key, 'holder') == input.worker
if last then lease_write(key, input.worker, now + input.lease_us)
elseif holds then lease_write(key, input.worker, 0) end
if last or holds then
  for field, value in pairs(input.note) do redis.call('HSET', key, field, value) end
end
return '{"last":' .. tostring(last) .. '}'
