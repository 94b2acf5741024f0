-- survey_begin: begins the survey after a mass cancel, or goes on with it: given again by its id it renews the lease.
--
-- Guarantee: one survey of a mass cancel at a time, none before the last of its orders has its end, and none after one is
-- written. One that nobody could make, nor makes, is given up ten minutes after the mass cancel's deadline, or after the end
-- of its last order, or once what is known of the mass cancel is gone: that is kept in its place, and told once. On hold one
-- is made while the scope is flat, and again after each.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: mass (its batch), survey (id, chosen by the caller), lease_us, later_us (until it is asked for again if the
--          mass cancel is not over; its end makes it due at once), not_made (JSON text of what is seen by nobody)
-- return   JSON: {mine (true), mass {field: text}} or {mine (false: not now, or never again)}
-- uses     base, lease, news

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, now, wall = K.mass(input.mass), clock()
local GIVEN_UP_US = 600000000

local function no() return '{"mine":false}' end

local fields, read = {}, redis.call('HGETALL', key)
for index = 1, #read, 2 do fields[read[index]] = read[index + 1] end
-- Without its fields the mass cancel is kept no longer: a hash made now would have no end.
local function give_up()
  if fields.state then redis.call('HSET', key, 'survey', input.not_made) end
  news_add('mass_cancel_incomplete', input.mass, wall)
end

local lease_ms = input.lease_us / 1000
local completed = fields.state ~= 'running' and number(redis.call('HGET', K.batch(input.mass), 'completed'))

-- Orders may be confirmed long after the deadline, once the book can be read again: it was too early for a survey before.
local function too_late()
  if tonumber(fields.deadline) + GIVEN_UP_US >= now or lease_holder(K.surveying(input.mass), lease_ms) then return false end
  return fields.state == 'running' or completed and completed + GIVEN_UP_US < wall
end

local holds = fields.hold and fields.state == 'running'
if not fields.state or not holds and (fields.survey or too_late()) then
  if redis.call('ZREM', K.surveys(), input.mass) == 1 and not fields.survey then give_up() end
  return no()
end
if not completed and not (holds and fields.flat == '1') then
  redis.call('ZADD', K.surveys(), text(now + input.later_us), input.mass)
  return no()
end
if not lease_take(K.surveying(input.mass), input.survey, lease_ms) then return no() end
redis.call('ZADD', K.surveys(), text(now + input.lease_us), input.mass)
return '{"mine":true,"mass":' .. cjson.encode(fields) .. '}'
