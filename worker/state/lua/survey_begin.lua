-- survey_begin: begins the survey after a mass cancel, or goes on with it: given again by its id it renews the lease.
--
-- Guarantee: one survey of a mass cancel at a time, none before the last of its orders has its end, and none after one is
-- written. One that nobody could make is given up ten minutes after the mass cancel's deadline. On hold one is made while
-- the scope is flat, and again after each.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: mass (its batch), survey (id, chosen by the caller), lease_us, later_us (until it is asked for again if the
--          mass cancel is not over; its end makes it due at once)
-- return   JSON: {mine (true), mass {field: text}} or {mine (false: not now, or never again)}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, now = K.mass(input.mass), clock()
local GIVEN_UP_US = 600000000

local function no() return '{"mine":false}' end

local fields, read = {}, redis.call('HGETALL', key)
for index = 1, #read, 2 do fields[read[index]] = read[index + 1] end
local holds = fields.hold and fields.state == 'running'
if not fields.state or not holds and (fields.survey or tonumber(fields.deadline) + GIVEN_UP_US < now) then
  redis.call('ZREM', K.surveys(), input.mass)
  return no()
end
local over = fields.state ~= 'running' and redis.call('HEXISTS', K.batch(input.mass), 'completed') == 1
if not over and not (holds and fields.flat == '1') then
  redis.call('ZADD', K.surveys(), text(now + input.later_us), input.mass)
  return no()
end
if not lease_take(K.surveying(input.mass), input.survey, input.lease_us / 1000) then return no() end
redis.call('ZADD', K.surveys(), text(now + input.lease_us), input.mass)
return '{"mine":true,"mass":' .. cjson.encode(fields) .. '}'
