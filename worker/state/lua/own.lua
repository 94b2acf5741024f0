-- own: claims a User ID for this Redis, of several that a runner has, so that it is served on one of them alone.
--
-- Guarantee: what is held stays so until people give it up (disown). Who asks has it for lease_us, in which nobody else of this
-- Redis is told the same, and holds it only if that has not run out since: between both no other Redis may show it. `see` and
-- a `drop` of what is another's change nothing. Given twice, each answers the same. A full Redis takes it, too.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: user (its address and User ID at the exchange), uid (the setting of whoever asks), by (who asks, chosen by the
--          caller), step ("see" | "ask" | "hold" | "drop"), lease_us
-- return   JSON: {state ("held" | "asked" | "served": without shards | "free"), by (who asked or holds it, or ""), uid}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local raw = redis.call('HGET', K.owners(), input.user)
local known = raw and cjson.decode(raw) or nil
if known and known.ends and lease_over(known.ends, now) then known = nil end

local function write(ends)
  known = { by = input.by, uid = input.uid, at = text(wall), ends = ends }
  redis.call('HSET', K.owners(), input.user, cjson.encode(known))
end

local mine = not known or known.ends and known.by == input.by
if input.step == 'ask' and mine then write(text(now + input.lease_us))
elseif input.step == 'hold' and known and mine then write(nil)
elseif input.step == 'drop' and known and mine then
  redis.call('HDEL', K.owners(), input.user)
  known = nil
end

local served = redis.call('GET', K.user(input.user))
local found = known and (known.ends and 'asked' or 'held') or served and 'served' or 'free'
return cjson.encode({ state = found, by = known and known.by or '', uid = known and known.uid or served or '' })
