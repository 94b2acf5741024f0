-- Rest until T, then one probe; at four scopes: `lane:<lane>`, `account:<name>`, `exchange:<address>`, `user:<uid>` (paused
-- by hand only).
-- A probe takes the rest's `until` with it as a lease, so a dead prober blocks nothing.

local LAPSES_S = 60 -- after the end of a rest that nobody came to probe

local MAX_DOUBLINGS = 30 -- 2^30 times any delay is beyond any cap

-- rest_until(scope): µs until which it rests, or nil when it does not rest (a value not after now: a probe is due).
local function rest_until(scope)
  return number(redis.call('HGET', K.rest(scope), 'until'))
end

-- rest_keep: the key of a rest, or of lanes that wait for it, outlasts it a little.
local function rest_keep(key, until_us, now)
  redis.call('EXPIRE', key, math.ceil((until_us - now) / SECOND_US) + LAPSES_S)
end

-- rest_lease: the scope's probe is out; if nothing comes of it, the next one is due at until_us.
local function rest_lease(scope, until_us, now)
  redis.call('HSET', K.rest(scope), 'until', text(until_us))
  rest_keep(K.rest(scope), until_us, now)
end

-- rest_paused: an operator's rest without end, which gets no probe and which only an operator ends.
local function rest_paused(scope) return redis.call('HEXISTS', K.rest(scope), 'paused') == 1 end

local function rest_pause(scope, by, reason, wall)
  redis.call('DEL', K.rest(scope))
  redis.call('HSET', K.rest(scope), 'until', text(INF), 'paused', by, 'reason', reason, 'since', text(wall))
  redis.call('SADD', K.paused(), scope)
end

local function rest_unpause(scope)
  redis.call('HDEL', K.rest(scope), 'paused')
  redis.call('SREM', K.paused(), scope)
end

-- rest_begin: a scope that already rests is left alone, unless this is its failed probe, which doubles the delay.
-- Returns whether a rest began, or went on after its probe.
local function rest_begin(scope, rest, now, wall, probe)
  local ends = rest_until(scope)
  if ends and ends > now and not probe or rest_paused(scope) then return false end
  local level = number(redis.call('HGET', K.rest(scope), 'level')) or -1
  level = math.min(level + 1, MAX_DOUBLINGS)
  local delay = math.min(rest.cap_us, rest.base_us * 2 ^ level)
  if not ends then redis.call('HSET', K.rest(scope), 'since', text(wall)) end
  redis.call('HSET', K.rest(scope), 'until', text(now + delay), 'level', level, 'reason', rest.reason,
    'next_wall', text(wall + delay))
  rest_keep(K.rest(scope), now + delay, now)
  return true
end

-- rest_await(lane): the lane waits for these scopes, until until_us at the latest; it is boarded again when one of them ends.
local function rest_await(lane, scopes, until_us, now)
  redis.call('HSET', K.lane(lane), 'held', text(until_us))
  for _, scope in ipairs(scopes) do
    redis.call('SADD', K.waiting(scope), lane)
    rest_keep(K.waiting(scope), until_us, now)
  end
end

-- rest_end: the scope's lanes are due at once; a pause is not ended by this.
local function rest_end(scope, now)
  if rest_paused(scope) or redis.call('DEL', K.rest(scope)) == 0 then return end
  for _, lane in ipairs(redis.call('SMEMBERS', K.waiting(scope))) do
    redis.call('HDEL', K.lane(lane), 'held')
    board(lane, now)
  end
  redis.call('DEL', K.waiting(scope))
end
