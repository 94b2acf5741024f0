-- The board: every lane with work, by the µs at which it is due; the bell rings when that becomes earlier.

local LINGER_US = 20000 -- a worker that has the lane claims again by itself, without the board, within this time
local COALESCE_US = 5000 -- slots become free one by one; a turn for several costs as much as for one

local LANE_KEPT_S = 604800 -- a week without work, then its counters go

local URGENT_BELOW = 2 ^ 51 -- places in line: urgent below, normal above

-- first_of: the smallest score in two zsets.
local function first_of(one, other)
  local _, at = first(one)
  local _, other_at = first(other)
  return math.min(at or INF, other_at or INF)
end

local function lanes_first() return first_of(K.urgent(), K.board()) end

local function others_first()
  return math.min(first_of(K.looks(), K.masses()), first_of(K.surveys(), K.newer_masses()))
end

-- is_soonest: nothing on the board is due before that.
local function is_soonest(at) return at < lanes_first() and at < others_first() end

local function ring()
  if redis.call('LLEN', K.bell()) == 0 then redis.call('LPUSH', K.bell(), '1') end
end

-- look_due: the user's book is looked at then; a later time only replaces an earlier one if `postpone`.
local function look_due(uid, at, postpone)
  local soonest = is_soonest(at)
  redis.call('ZADD', K.looks(), postpone and 'CH' or 'LT', text(at), uid)
  if soonest then ring() end
end

-- masses_of: the board of mass cancels on which this one is, so that no version is given one that it cannot read.
local function masses_of(mass)
  return redis.call('HEXISTS', K.mass(mass), 'since') == 1 and K.newer_masses() or K.masses()
end

-- listing_never: nothing is listed for it any more.
local function listing_never(mass)
  redis.call('ZREM', K.masses(), mass)
  redis.call('ZREM', K.newer_masses(), mass)
end

-- listing_due: the mass cancel's next listing begins then.
local function listing_due(mass, at)
  local soonest = is_soonest(at)
  redis.call('ZADD', masses_of(mass), text(at), mass)
  if soonest then ring() end
end

-- listing_sooner: the next listing begins at its `soonest`; if one is on, as soon after it as `listing_end` allows.
local function listing_sooner(mass, now, soonest)
  if redis.call('GET', K.listing(mass)) then return redis.call('HSET', K.mass(mass), 'again', '1') end
  local at, due = math.max(now, number(soonest) or 0), redis.call('ZSCORE', masses_of(mass), mass)
  if due and at < tonumber(due) then listing_due(mass, at) end
end

-- survey_due: what else can place orders is looked at then, if the mass cancel is over.
local function survey_due(mass, at)
  local soonest = is_soonest(at)
  redis.call('ZADD', K.surveys(), text(at), mass)
  if soonest then ring() end
end

-- slots_note: remembers in the lane when its next slots are free, for whoever boards it without knowing the limits.
-- A batch call needs two; batch_size 0 means that the lane has no use for that meter.
local function slots_note(lane, limits, batch_size, now)
  local single, batch = K.window(lane .. ':single'), K.window(lane .. ':batch')
  local single_at = window_free_at(single, limits.single, 1, window_used(single, now))
  local batch_at = batch_size < 2 and INF or batch_window_free_at(batch, limits.batch, 2, batch_window_used(batch, now))
  if single_at > 0 then single_at = single_at + COALESCE_US end
  redis.call('HSET', K.lane(lane), 'single_at', text(single_at), 'batch_at', text(batch_at))
end

-- jobs_at: when the lane's first job and its second one may be sent: those in line now, others as their retries fall due.
-- in_line = {job, score, job, score}, of two at most.
local function jobs_at(in_line, lane)
  if #in_line == 4 then return 0, 0 end
  local retries = redis.call('ZRANGE', K.later(lane), 0, 1, 'WITHSCORES')
  local first_at, second_at = number(retries[2]), number(retries[4])
  if #in_line == 2 then return 0, first_at end
  return first_at, second_at
end

-- send_at: µs at which the lane has a job and a slot for it, or two and slots for a batch call; nil: no job.
local function send_at(in_line, lane)
  local read = redis.call('HMGET', K.lane(lane), 'single_at', 'batch_at', 'held')
  local first_at, second_at = jobs_at(in_line, lane)
  if not first_at then return nil end
  local alone = math.max(first_at, number(read[1]) or 0)
  local together = math.max(second_at or INF, number(read[2]) or INF)
  return math.max(math.min(alone, together), number(read[3]) or 0)
end

-- lane_due(lane): µs at which the lane needs a turn (nil: no work), and whether an urgent job is in front.
local function lane_due(lane)
  local in_line = redis.call('ZRANGE', K.ready(lane), 0, 1, 'WITHSCORES')
  local _, claim_ends = first(K.claimed(lane))
  local due = send_at(in_line, lane)
  if claim_ends then due = math.min(due or INF, claim_ends) end
  return due, in_line[1] and number(in_line[2]) < URGENT_BELOW
end

-- board(lane, now, floor_us): puts the lane where its work belongs, not before floor_us from now. Returns how many µs from
-- now it is due (-1: no work).
local function board(lane, now, floor_us)
  local due, urgent = lane_due(lane)
  if not due then
    redis.call('ZREM', K.urgent(), lane)
    redis.call('ZREM', K.board(), lane)
    return '-1'
  end
  local at = math.max(due, now + (floor_us or 0))
  local soonest = is_soonest(at)
  redis.call('ZREM', urgent and K.board() or K.urgent(), lane)
  redis.call('ZADD', urgent and K.urgent() or K.board(), text(at), lane)
  if soonest then ring() end
  return text(math.max(0, due - now))
end
