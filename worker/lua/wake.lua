-- wake: finds lanes, users' books and mass cancels that are due and postpones them, so that one waker gets each.
--
-- Guarantee: a lane returned here is due again after postpone_us, unless its drain writes its true due time before. A
-- restart of Redis is noticed here, so that what it may have forgotten is waited for from then on.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: count (lanes at most), postpone_us, blackout_us
-- return   JSON: {lanes [lane, urgent ones first], users [uid whose book is to be looked at],
--          masses [batch of a mass cancel whose book is to be listed], next (µs until the board's next due, -1: empty board)}

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now = clock()
local lanes, users, masses = {}, {}, {}
blocked_until(now, input.blackout_us)

local function take(zset, taken)
  if #taken >= input.count then return end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', zset, '-inf', text(now), 'LIMIT', 0, input.count - #taken)) do
    redis.call('ZADD', zset, text(now + input.postpone_us), name)
    taken[#taken + 1] = cjson.encode(name)
  end
end

take(K.urgent(), lanes)
take(K.board(), lanes)
take(K.looks(), users)
take(K.masses(), masses)
local due = board_first()
return '{"lanes":[' .. table.concat(lanes, ',') .. '],"users":[' .. table.concat(users, ',') ..
  '],"masses":[' .. table.concat(masses, ',') .. '],"next":' ..
  (due == INF and '-1' or text(math.max(0, due - now))) .. '}'
