-- repair: puts lanes that have work but are not on the board back on it, and forgets idle ones.
--
-- Guarantee: a lane with work is on the board when this returns; a lane without work is only forgotten after idle_us.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: lanes [lane], idle_us
-- return   JSON: {}
-- uses     base, board

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now = clock()

local function forget(lane)
  redis.call('ZREM', K.lanes(), lane)
  redis.call('EXPIRE', K.lane(lane), LANE_KEPT_S) -- one that was never claimed from has no end yet
end

for _, lane in ipairs(input.lanes) do
  local on_board = redis.call('ZSCORE', K.urgent(), lane) or redis.call('ZSCORE', K.board(), lane)
  local due = lane_due(lane)
  if due and not on_board then board(lane, now)
  elseif not due and now - number(redis.call('ZSCORE', K.lanes(), lane) or 0) > input.idle_us then forget(lane) end
end
return '{}'
