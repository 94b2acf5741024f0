-- listing_end: ends a listing of a mass cancel: what it saw, and when the next one begins or how the mass cancel ended.
--
-- Guarantee: only who has the lease writes; a mass cancel that ended takes no more orders, and its batch is complete as soon
-- as nothing of it waits.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: mass (its batch), listing (its id; "": none, an operator ends the mass cancel), fields {field: text},
--          after_us (until the next listing; -1: it ended, as fields.state says), by, reason (of the operator)
-- return   JSON: {mine (false: nothing was written)}
-- uses     base, lease, board, finish, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local key = K.mass(input.mass)
local retention = redis.call('HGET', K.batch(input.mass), 'retention')
local kept_s = number(retention) or DAY_S -- its batch was deleted by hand: there is nothing to be kept with it

local function answer(mine) return '{"mine":' .. tostring(mine) .. '}' end

if redis.call('HGET', key, 'state') ~= 'running' then return answer(false) end
if input.listing == '' then redis.call('DEL', K.listing(input.mass))
elseif not lease_end(K.listing(input.mass), input.listing) then return answer(false) end
for field, value in pairs(input.fields) do redis.call('HSET', key, field, value) end
if input.after_us >= 0 then
  listing_due(input.mass, now + input.after_us)
  return answer(true)
end
if input.listing == '' then
  audit({ event = 'called_off', by = input.by, reason = input.reason, batch = input.mass,
    account = redis.call('HGET', key, 'account') }, wall, kept_s)
end
redis.call('HSET', key, 'ended', text(wall))
redis.call('ZREM', K.masses(), input.mass)
redis.call('EXPIRE', key, kept_s)
if retention then redis.call('HSET', K.batch(input.mass), 'sealed', '1') end
batch_close(input.mass, wall)
return answer(true)
