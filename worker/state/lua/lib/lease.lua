-- A lease: who alone does a thing for now. It ends by itself, so a worker that died stops nobody.
--
-- Most leases are a key with its holder's name, which Redis ends by its wall clock: after a step back of that clock one
-- lasts longer than anybody took it for, and is nobody's. Of the sweep and of a dead man's switch the end is written down,
-- in µs of the verbs' clock, which no step of the wall clock moves.

-- lease_holder(key, longest_ms): who has it, or nil.
local function lease_holder(key, longest_ms)
  local name = redis.call('GET', key)
  return name and redis.call('PTTL', key) <= longest_ms and name or nil
end

-- lease_take(key, name, lease_ms): takes or renews it; returns whether it is `name`'s now.
local function lease_take(key, name, lease_ms)
  local other = lease_holder(key, lease_ms)
  if other and other ~= name then return false end
  redis.call('SET', key, name, 'PX', text(lease_ms))
  return true
end

-- lease_end(key, name): gives it back; returns whether it was `name`'s.
local function lease_end(key, name) return redis.call('GET', key) == name and redis.call('DEL', key) == 1 end

-- lease_take_once(key, lease_ms, longest_ms): takes one that has no name, so that nobody renews it.
local function lease_take_once(key, lease_ms, longest_ms)
  if lease_holder(key, longest_ms) then return false end
  redis.call('SET', key, '1', 'PX', text(lease_ms))
  return true
end

-- lease_over(ends, now): whether one has ended whose end is written down (false, nil: it was never taken).
local function lease_over(ends, now) return (number(ends) or 0) <= now end

-- lease_write(hash, name, ends): `name` has it until µs on the verbs' clock.
local function lease_write(hash, name, ends) redis.call('HSET', hash, 'holder', name, 'until', text(ends)) end
