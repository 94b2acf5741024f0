-- slot_take: takes one slot of a meter for a reading call.
--
-- Guarantee: of limit + 1 slots of a meter one is always granted later than one window after another's arrival; the same
-- call id gets the same slot. Nothing is granted until slots forgotten by a restarted Redis must have ended.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: meter (such as "446:pending"), call (id, chosen by the caller), limit, window_us, open_us (an open slot
--          ends), blackout_us
-- return   JSON: {wait (µs until a slot may be free; 0: taken)}
-- uses     base, window

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, now = K.window(input.meter), clock()

local function wait(us) return '{"wait":' .. text(us) .. '}' end

if redis.call('ZSCORE', key, input.call .. '/1') then return wait(0) end
local block_ends = blocked_until(now, input.blackout_us)
if block_ends > now then return wait(block_ends - now) end
local free_at = window_free_at(key, input.limit, 1, window_used(key, now))
if free_at > now then return wait(free_at - now) end
window_set(key, { with_slots(input.call, 1) }, now + input.open_us + input.window_us, now)
return wait(0)
