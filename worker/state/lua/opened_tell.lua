-- opened_tell: which orders of a user his private channel told of as open, and of no end since; for mass cancels.
--
-- Guarantee: what was told last holds, and says as of when; it is forgotten once nobody renews it, as nobody does while the
-- channel is not heard: what it told of before may have ended unheard.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: uid, orders (JSON text: a list of rows), keep_ms
-- return   JSON: {at (µs; -1: the channel is not heard, and nothing was written)}
-- uses     base

despite_full_memory()
local input = cjson.decode(ARGV[1])
if not redis.call('GET', K.heard(input.uid)) then return '{"at":-1}' end
local at = text((clock()))
redis.call('SET', K.opened(input.uid), '{"at":' .. at .. ',"orders":' .. input.orders .. '}', 'PX', text(input.keep_ms))
return '{"at":' .. at .. '}'
