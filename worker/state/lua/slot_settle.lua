-- slot_settle: what came of a slot that `slot_take` gave.
--
-- Guarantee: given twice, the slot counts from the later one; it is never free earlier than one window after its arrival.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: meter, call, slots ("settle": answered | "keep": bytes may be on their way | "release": never sent),
--          window_us
-- return   JSON: {}
-- uses     base, window

despite_full_memory()
local input = cjson.decode(ARGV[1])
local key, now = K.window(input.meter), clock()
if input.slots == 'settle' then window_set(key, { with_slots(input.call, 1) }, now + input.window_us, now)
elseif input.slots == 'release' then window_release(key, input.call, 1) end
return '{}'
