-- repair: lets one worker of all sweep; puts lanes that have work but are not on the board back on it, and forgets idle ones.
--
-- Guarantee: once in lease_us a worker is told `mine`, whatever the wall clock does. A lane with work is on the board when this
-- returns; a lane without work is only forgotten after idle_us.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: lanes [lane], idle_us, lease_us (0: the sweep has begun)
-- return   JSON: {mine, mended (lanes put back)}

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now = clock()
local mended = 0

local function take_lease()
  if (number(redis.call('GET', K.sweep())) or 0) > now then return false end
  redis.call('SET', K.sweep(), text(now + input.lease_us), 'EX', 60)
  return true
end

for _, lane in ipairs(input.lanes) do
  local on_board = redis.call('ZSCORE', K.urgent(), lane) or redis.call('ZSCORE', K.board(), lane)
  local due = lane_due(lane)
  if due and not on_board then
    board(lane, now)
    mended = mended + 1
  elseif not due and now - number(redis.call('ZSCORE', K.lanes(), lane) or 0) > input.idle_us then
    redis.call('ZREM', K.lanes(), lane)
    redis.call('EXPIRE', K.lane(lane), 604800) -- one that was never claimed from has no end yet
  end
end
local mine = input.lease_us == 0 or take_lease()
return '{"mine":' .. tostring(mine) .. ',"mended":' .. mended .. '}'
