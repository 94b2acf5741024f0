-- listing_hasten: a channel told of an open order, so whatever is on hold of its user is listed as soon as the rate of reading
-- allows; of an algo order, so is whatever cancels such.
--
-- Guarantee: nothing is listed later than it was due. One whose listing is on is listed again after it. Given twice, it changes nothing more.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: uid, algos (whether it was an algo order)
-- return   JSON: {holds (mass cancels of the user that this concerns)}
-- uses     base, board

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, holds = clock(), 0

for _, mass in ipairs(redis.call('ZRANGE', K.newer_masses(), 0, -1)) do
  local read = redis.call('HMGET', K.mass(mass), 'uid', 'hold', 'soonest', 'scope')
  local concerned = read[2] or (input.algos and string.find(read[4] or '', '"algos"', 1, true))
  if read[1] == input.uid and concerned then
    holds = holds + 1
    listing_sooner(mass, now, read[3])
  end
end
return '{"holds":' .. holds .. '}'
