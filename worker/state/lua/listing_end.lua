-- listing_end: ends a listing of a mass cancel: what it saw, and when the next one begins or how the mass cancel ended.
--
-- Guarantee: only who has the lease writes; a mass cancel that ended takes no more orders, and its batch is complete as soon
-- as nothing of it waits. One that ended without its scope being flat is told of until a later one found it so; one that is on
-- hold and not flat any more or in time, or of which that is not known any more, until itself did.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: mass (its batch), listing (its id; "": none, an operator ends the mass cancel), fields {field: text},
--          after_us (until the next listing; -1: it ended, as fields.state says), soon_us (the least until then, if an
--          order is told of), hastens (whether the end of its last order does the same), event (of the audit), by,
--          reason (of the operator)
-- return   JSON: {mine (false: nothing was written)}
-- uses     base, lease, board, finish, news, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local key = K.mass(input.mass)
local retention = redis.call('HGET', K.batch(input.mass), 'retention')
local kept_s = number(retention) or DAY_S -- its batch was deleted by hand: there is nothing to be kept with it

-- The scope of all orders holds every other one of its user that asks for orders alone. One that runs speaks for itself.
local function found_flat(uid, scope, mass)
  local read = redis.call('HMGET', K.mass(mass), 'uid', 'scope', 'state')
  if not read[1] then return true end
  if read[1] ~= uid or (read[3] == 'running' and mass ~= input.mass) then return false end
  return read[2] == scope or (scope == '{}' and cjson.decode(read[2]).with == nil)
end

local function scope_flat()
  news_add('mass_cancel_flat', input.mass, wall)
  local read = redis.call('HMGET', key, 'uid', 'scope')
  for _, mass in ipairs(redis.call('ZRANGE', K.not_flat(), 0, -1)) do
    if found_flat(read[1], read[2], mass) then redis.call('ZREM', K.not_flat(), mass) end
  end
end

local function scope_not_flat()
  news_add('mass_cancel_not_flat', input.mass, wall)
  redis.call('ZADD', K.not_flat(), text(wall), input.mass)
  redis.call('ZREMRANGEBYSCORE', K.not_flat(), '-inf', text(wall - kept_s * SECOND_US))
end

-- A listing may fail now and then; of one on hold that is not listed for longer nobody knows whether it is flat.
local BLIND_US = 5000000
local HELD_S = 15

-- is_blind: whether no listing was complete for too long, since the first that was not.
local function is_blind(listed)
  if listed then
    redis.call('HDEL', key, 'blind')
    return false
  end
  redis.call('HSETNX', key, 'blind', text(now))
  return now - tonumber(redis.call('HGET', key, 'blind')) > BLIND_US
end

-- told: what was last told of one on hold, and what is to be told now: it is flat, is so no more, or not in time.
local function told(before)
  local listed, empty = input.fields.listings, (input.fields.flat_since or '') ~= ''
  local blind = is_blind(listed)
  if input.fields.flat == '1' then return before.told ~= 'flat' and 'flat' end
  if before.told == 'flat' then return (blind or (listed and not empty)) and 'not flat' end
  return before.told ~= 'not flat' and now > tonumber(before.deadline) and 'not flat'
end

local function tell_of_hold(before)
  if input.fields.listings then redis.call('SET', K.held(input.mass), '1', 'EX', HELD_S) end
  local news = told(before)
  if news then redis.call('HSET', key, 'told', news) end
  if news == 'flat' then
    scope_flat()
    survey_due(input.mass, now)
  elseif news then
    redis.call('HSET', key, 'flat', '', 'flat_since', '', 'flat_wall', '')
    scope_not_flat()
  end
end

local function tell_of_end(state)
  if input.listing == '' then
    redis.call('HSET', key, 'ended_by', input.by, 'ended_why', input.reason)
    if not redis.call('GET', K.held(input.mass)) then redis.call('HSET', key, 'flat', '') end
    news_add('mass_cancel_released', input.mass, wall)
  elseif state == 'flat' then scope_flat()
  elseif state ~= 'done' then scope_not_flat() end
end

-- wanted_again: something was told of while this was listed, or the last order has ended, so that the next listing may be the
-- first that counts.
local function wanted_again()
  if redis.call('HDEL', key, 'again') == 1 then return true end
  if not input.hastens or (input.fields.flat_since or '') ~= '' then return false end
  return number(redis.call('HGET', K.batch(input.mass), 'waiting')) == 0
end

local function answer(mine) return '{"mine":' .. tostring(mine) .. '}' end

if redis.call('HGET', key, 'state') ~= 'running' then return answer(false) end
if input.listing == '' then redis.call('DEL', K.listing(input.mass))
elseif not lease_end(K.listing(input.mass), input.listing) then return answer(false) end
local read = redis.call('HMGET', key, 'hold', 'told', 'deadline')
local holds = read[1]
for field, value in pairs(input.fields) do redis.call('HSET', key, field, value) end
if input.after_us >= 0 then
  if holds or input.hastens then redis.call('HSET', key, 'soonest', text(now + input.soon_us)) end
  if input.hastens then redis.call('HSET', key, 'hastens', '1') end
  if holds then tell_of_hold({ told = read[2], deadline = read[3] }) end
  listing_due(input.mass, now + (wanted_again() and input.soon_us or input.after_us))
  return answer(true)
end
tell_of_end(input.fields.state)
if input.listing == '' then
  audit({ event = input.event, by = input.by, reason = input.reason, batch = input.mass,
    account = redis.call('HGET', key, 'account') }, wall, kept_s)
end
redis.call('HSET', key, 'ended', text(wall))
if holds then -- what else can place orders was looked at in between; it is once more, after its last order
  redis.call('HDEL', key, 'survey')
  local orders_end = number(redis.call('HGET', K.batch(input.mass), 'deadline')) or 0
  redis.call('HSET', key, 'deadline', text(math.max(now, orders_end))) -- until then its survey waits for them
  survey_due(input.mass, now)
end
listing_never(input.mass)
redis.call('EXPIRE', key, kept_s)
if retention then redis.call('HSET', K.batch(input.mass), 'sealed', '1') end
batch_close(input.mass, wall)
return answer(true)
