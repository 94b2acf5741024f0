-- switch_hold: counts a worker among those that keep a user's dead man's switch armed, and lets one of them hold it.
--
-- Guarantee: at most one worker is told `mine` until its lease ends; it keeps the switch by asking again before. What it
-- notes of the switch is written, of anybody else nothing.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: uid, worker, lease_us, note {field: text}
-- return   JSON: {mine, now (µs), wall (µs), refreshed (µs, 0: never), armed_until (µs, 0: not armed)}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, now, wall = K.switch(input.uid), clock()
redis.call('ZADD', K.switchers(input.uid), text(now), input.worker)
redis.call('EXPIRE', K.switchers(input.uid), DAY_S)
local read = redis.call('HMGET', key, 'holder', 'until', 'refreshed', 'armed_until')
local mine = read[1] == input.worker or lease_over(read[2], now)
if mine then
  lease_write(key, input.worker, now + input.lease_us)
  for field, value in pairs(input.note) do redis.call('HSET', key, field, value) end
  redis.call('EXPIRE', key, DAY_S)
end
return '{"mine":' .. tostring(mine) .. ',"now":' .. text(now) .. ',"wall":' .. text(wall) .. ',"refreshed":' ..
  (read[3] or '0') .. ',"armed_until":' .. (read[4] or '0') .. '}'
