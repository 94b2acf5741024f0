-- channel_lease: takes, keeps or gives back the private channels of users; one worker listens to each, and workers share them.
--
-- Guarantee: a channel is taken only when nobody has it, and kept or given back only by who does. A worker that ends
-- without a word is replaced once its lease lapses. Given twice, it changes nothing more than one that comes a round later.
-- Whether a user's channel is heard is said by its holder alone, and holds as long as the lease. A worker takes no more
-- than its share, but for what nobody else takes (`alone`), a few at a time; of more it gives a few to those with less.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: worker, kind (of channels; each is shared out by itself), uids, lease_ms (0: give back), heard [uid]
--          (of those held: pushes come, and none was missed), alone [uid] (nobody has had these for so long that the share does not count)
-- return   JSON: {held [uid], free [uid] (nobody has it, and it was not taken), next_ms (until a lease of somebody else
--          ends, -1: there is none)}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, lease_us = clock(), input.lease_ms * 1000
local TAKEN, GIVEN = 10, 5
local held, mine, free, next_ms, heard, alone = {}, {}, {}, -1, {}, {}
for _, uid in ipairs(input.heard) do heard[uid] = true end
for _, uid in ipairs(input.alone) do alone[uid] = true end

-- those that listen besides this one: how many channels each has, hears, and could have
local function others()
  local found, read = {}, redis.call('HGETALL', K.listeners(input.kind))
  for index = 1, #read, 2 do
    local ends, has, hears, could = string.match(read[index + 1], '^(%d+) (%d+) (%d+) (%d+)$')
    if not ends or tonumber(ends) < now then redis.call('HDEL', K.listeners(input.kind), read[index])
    elseif read[index] ~= input.worker then
      found[#found + 1] = { has = tonumber(has), hears = tonumber(hears), could = tonumber(could) }
    end
  end
  return found
end

-- what the others lack of their shares; one that does not hear what it has gets no more
local function wanted(listeners, share)
  local count = 0
  for _, other in ipairs(listeners) do
    if other.has - other.hears <= TAKEN then count = count + math.max(0, math.min(share, other.could) - other.has) end
  end
  return count
end

local function wait_for(key)
  local left_ms = redis.call('PTTL', key)
  if left_ms >= 0 and (next_ms < 0 or left_ms < next_ms) then next_ms = left_ms end
end

local function hold(uid) -- nobody else has it
  held[#held + 1] = uid
  redis.call('SET', K.witness(uid), input.worker, 'PX', text(input.lease_ms))
  if heard[uid] then redis.call('SET', K.heard(uid), '1', 'PX', text(input.lease_ms))
  else redis.call('DEL', K.heard(uid)) end
end

local function give_back(uid)
  if lease_end(K.witness(uid), input.worker) then redis.call('DEL', K.heard(uid)) else wait_for(K.witness(uid)) end
end

-- what this worker has goes on; of the rest, what nobody has may be taken
local function look_at(uid, vacant)
  local holder = lease_holder(K.witness(uid), input.lease_ms)
  if holder == input.worker then mine[#mine + 1] = uid
  elseif holder then wait_for(K.witness(uid))
  else vacant[#vacant + 1] = uid end
end

local function share_out()
  local vacant, listeners = {}, others()
  for _, uid in ipairs(input.uids) do look_at(uid, vacant) end
  local share = math.ceil(#input.uids / (#listeners + 1))
  local given = math.max(0, math.min(#mine - share, wanted(listeners, share), GIVEN))
  for index, uid in ipairs(mine) do
    if index <= #mine - given then hold(uid) else give_back(uid) end
  end
  local taken = 0
  for _, uid in ipairs(vacant) do
    if taken < TAKEN and (#held < share or alone[uid]) then
      taken = taken + 1
      hold(uid)
    else free[#free + 1] = uid end
  end
  redis.call('HSET', K.listeners(input.kind), input.worker,
    text(now + lease_us) .. ' ' .. #held .. ' ' .. #input.heard .. ' ' .. #input.uids)
end

local function list(uids)
  local said = {}
  for index, uid in ipairs(uids) do said[index] = cjson.encode(uid) end
  return '[' .. table.concat(said, ',') .. ']'
end

if input.lease_ms > 0 then share_out()
else
  redis.call('HDEL', K.listeners(input.kind), input.worker)
  for _, uid in ipairs(input.uids) do give_back(uid) end
end
return '{"held":' .. list(held) .. ',"free":' .. list(free) .. ',"next_ms":' .. text(next_ms) .. '}'
