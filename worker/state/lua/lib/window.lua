-- The exact sliding window: a zset of calls, '<call>/<its slots>', each scored with the µs at which its slots are free again.
-- Open slots' score is their latest possible end; settling sets it to one window after the record.

local purged = {}

-- window_purge: forgets slots that are free, once a script.
local function window_purge(key, now)
  if not purged[key] then redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now)) end
  purged[key] = true
end

-- window_used(key): slots not free now, of a window whose calls take one each.
local function window_used(key, now)
  window_purge(key, now)
  return redis.call('ZCARD', key)
end

-- window_free_at(key): µs at which `need` slots of `limit` are free (0: now), given `used`.
local function window_free_at(key, limit, need, used)
  if used + need <= limit then return 0 end
  if need > limit then return INF end
  local index = used + need - limit - 1
  return tonumber(redis.call('ZRANGE', key, index, index, 'WITHSCORES')[2])
end

local function slots_of(call) return tonumber(string.match(call, '/(%d+)$')) end

-- batch_window_used: the same of a window whose calls take several slots.
local function batch_window_used(key, now)
  window_purge(key, now)
  local used = 0
  for _, call in ipairs(redis.call('ZRANGE', key, 0, -1)) do used = used + slots_of(call) end
  return used
end

local function batch_window_free_at(key, limit, need, used)
  if used + need <= limit then return 0 end
  local calls = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for index = 1, #calls, 2 do
    used = used - slots_of(calls[index])
    if used + need <= limit then return tonumber(calls[index + 1]) end
  end
  return INF
end

-- Redis ends a key by its wall clock: a step forward by less than this forgets no slot.
local WINDOW_KEPT_MS = 600000

-- with_slots: how a call and its `count` slots stand in a window.
local function with_slots(call, count) return call .. '/' .. count end

-- window_set: the slots of the calls ('<call>/<its slots>') are free at free_us.
local function window_set(key, calls, free_us, now)
  local free, scored = text(free_us), {}
  for _, call in ipairs(calls) do
    scored[#scored + 1] = free
    scored[#scored + 1] = call
  end
  in_chunks(scored, function(...) redis.call('ZADD', key, ...) end)
  redis.call('PEXPIRE', key, math.max(WINDOW_KEPT_MS, math.ceil((free_us - now) / 1000) + 1000))
end

local function window_release(key, call, count) redis.call('ZREM', key, with_slots(call, count)) end

-- blocked_longer: somebody waits longer than who noticed this life first; 0, nothing to be waited for, stays so.
local function blocked_longer(ends, by_us) return ends > 0 and ends + by_us or 0 end

-- blocked_until: slots may have been forgotten by another life of this Redis: nobody sends until they must have ended.
-- Returns when that is.
local function blocked_until(now, blackout_us)
  local life = run_id()
  local saved = redis.call('HMGET', K.clock(), 'run_id', 'blocked_until', 'blackout')
  local known = number(saved[3]) or 0
  local blackout = math.max(blackout_us, known) -- another runner may wait longer for its calls
  if saved[1] == life and saved[3] == text(blackout) then return number(saved[2]) or 0 end
  local ends = now + blackout
  if saved[1] == life then ends = blocked_longer(number(saved[2]) or 0, blackout - known) end
  redis.call('HSET', K.clock(), 'run_id', life, 'blocked_until', text(ends), 'blackout', text(blackout))
  if saved[1] ~= life then redis.call('HDEL', K.clock(), 'blocked_for') end
  return ends
end

-- blocked_for: nobody sends until all that was sent before must have ended; `why` is for people.
local function blocked_for(why, now, blackout_us)
  local saved = redis.call('HMGET', K.clock(), 'blocked_until', 'blackout')
  local blackout = math.max(blackout_us, number(saved[2]) or 0)
  local ends = math.max(now + blackout, number(saved[1]) or 0)
  redis.call('HSET', K.clock(), 'blocked_until', text(ends), 'blackout', text(blackout), 'blocked_for', why)
end
