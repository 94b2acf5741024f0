-- wake: takes lanes, users' books, mass cancels and surveys that are due and postpones them, so that one waker gets each.
--
-- Guarantee: a lane returned here is due again after postpone_us, unless its turn writes its true due time before. Lanes
-- that the waker has no room for stay due, and the bell tells another one. A restart of Redis is noticed here, so that what
-- it may have forgotten is waited for from then on.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: room (lanes at most), count (users and masses at most), postpone_us, blackout_us
-- return   JSON: {lanes [lane] (urgent ones first), users [uid] (whose book is to be looked at), masses [batch] (of a mass
--          cancel whose book is to be listed), surveys [batch] (of a mass cancel after which one may be due), more (lanes that are due were left), next (µs until the board's next due, of
--          books and masses alone if lanes were left, -1: none)}
-- uses     base, window, board

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now = clock()
local lanes, users, masses, surveys = {}, {}, {}, {}
blocked_until(now, input.blackout_us)

local function take(zset, taken, most)
  if #taken >= most then return end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', zset, '-inf', text(now), 'LIMIT', 0, most - #taken)) do
    redis.call('ZADD', zset, text(now + input.postpone_us), name)
    taken[#taken + 1] = cjson.encode(name)
  end
end

take(K.urgent(), lanes, input.room)
take(K.board(), lanes, input.room)
take(K.looks(), users, input.count)
take(K.masses(), masses, input.count)
take(K.newer_masses(), masses, input.count)
take(K.surveys(), surveys, input.count)
local lanes_at = lanes_first()
local more = lanes_at <= now
if more then ring() end
local due = math.min(more and INF or lanes_at, input.count > 0 and others_first() or INF)
return '{"lanes":[' .. table.concat(lanes, ',') .. '],"users":[' .. table.concat(users, ',') ..
  '],"masses":[' .. table.concat(masses, ',') .. '],"surveys":[' .. table.concat(surveys, ',') .. '],"more":' .. tostring(more) .. ',"next":' ..
  (due == INF and '-1' or text(math.max(0, due - now))) .. '}'
