-- survey_end: ends the survey after a mass cancel: what it saw, or when the next one begins.
--
-- Guarantee: only who has the lease writes.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: mass (its batch), survey (its id), told (JSON text of what was seen; "": nothing), again_us (until the next
--          survey if nothing was), hold_us (until the next one of a mass cancel that is on hold), held (whether it was on hold
--          as this one began)
-- return   JSON: {mine (false: nothing was written)}
-- uses     base, lease, board

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, now = K.mass(input.mass), clock()

local function answer(mine) return '{"mine":' .. tostring(mine) .. '}' end

if not lease_end(K.surveying(input.mass), input.survey) then return answer(false) end
if input.told == '' then
  survey_due(input.mass, now + input.again_us)
  return answer(true)
end
local read = redis.call('HMGET', key, 'state', 'hold')
if input.held and read[1] ~= 'running' then -- it began before the last order had its end
  survey_due(input.mass, now)
  return answer(true)
end
if read[1] then redis.call('HSET', key, 'survey', input.told) end
if read[2] and read[1] == 'running' then survey_due(input.mass, now + input.hold_us)
else redis.call('ZREM', K.surveys(), input.mass) end
return answer(true)
