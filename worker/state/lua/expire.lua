-- expire: ends jobs past their deadline wherever they wait; one that is being sent ends with its record, one that is to
-- be confirmed has a deadline of its own.
--
-- Guarantee: a job goes on until the last deadline of its batches; the row of a batch whose own has passed ends, unless the
-- cancel is being sent or to be confirmed. Where nobody serves its account any more: one that is to be confirmed ends
-- abandon_us after it was first met here, one that was being sent abandon_us after the end of its claim. A row for which no
-- job works (Redis lost it, or somebody deleted it) ends past the batch's deadline; on hold, past its own.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch, jobs [{id, lane}], again_us (a batch that still waits is looked at again then; quiet_us: if nothing
--          ended here), abandon_us, retention_s
-- return   JSON: {exhausted [{job, lane, account, batches, attempts, code, message}] (what ended for these batches)}
-- uses     base, board, job, mover, finish

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local lanes, unserved = {}, {}
local LOST = 'lost: Redis knows nothing of its job'
local LEFT = 'deadline passed; its cancel goes on for other batches'

local function abandoned(job)
  if not job.unread then change(job, { unread = text(now) }) end
  return now - tonumber(job.unread) > input.abandon_us
end

local function is_for(batches) return string.find(' ' .. batches .. ' ', ' ' .. input.batch .. ' ', 1, true) ~= nil end

local function serves(job)
  if not job or not job.live then return false end
  return is_for(job.batches) or (job.next and is_for(cjson.decode(job.next).batches)) or false
end

local function exhaust_here(asked, job, message)
  exhaust(asked.lane, job, message, wall, input.retention_s)
  lanes[asked.lane] = true
end

-- A claim that ran out is taken back by the next claim of the lane, which is due at that instant.
local function never_taken_back(asked, job)
  local claim_ends = number(redis.call('ZSCORE', K.claimed(asked.lane), asked.id))
  return now - (claim_ends or tonumber(job.deadline)) > input.abandon_us
end

local batch_ends = number(redis.call('HGET', K.batch(input.batch), 'deadline')) or INF

-- The batch waits no longer for what others wait for: its row ends, and the job goes on, whose one outcome is told to them.
local function end_row(job, asked, generation)
  local left = { id = asked.id, account = job.account, batches = input.batch, attempts = job.attempts, again = job.again,
    generation = generation, sent = job.sent, accepted = job.accepted, log = job.log, asked = job.asked,
    ord = job.ord }
  local ending = { status = 'exhausted', code = code_said(left), message = LEFT }
  row_end(input.batch, asked.id, { counter = 'status:exhausted', result = result_json(left, ending, wall) })
  exhausted_add(asked.lane, left, ending.code, LEFT)
end

local function leave(asked, job)
  local following = job.next and cjson.decode(job.next)
  if following and is_for(following.batches) then
    local others = others_of(following.batches, input.batch)
    following.batches = table.concat(others, ' ')
    change(job, { next = #others > 0 and cjson.encode(following) })
    return end_row({ account = job.account, attempts = 0, asked = following.asked }, asked, job.generation + 1)
  end
  local others = others_of(job.batches, input.batch)
  if #others == 0 or not IN_LINE[job.state] then return end
  change(job, { batches = table.concat(others, ' ') })
  end_row(job, asked, job.generation)
end

local function expire(asked, job)
  if tonumber(job.deadline) > now then
    if batch_ends <= now then leave(asked, job) end
    return
  end
  if job.state == 'sending' then
    if never_taken_back(asked, job) then exhaust_here(asked, job, 'its claim ran out, and nobody sends for this account') end
  elseif job.state ~= 'accepted' then exhaust_here(asked, job, 'deadline passed')
  elseif abandoned(job) then exhaust_here(asked, job, 'its cancel was sent, but nobody reads this account\'s book') end
end

-- What is left of a job of which nothing is known goes, as in `claim`; that its order may be live is remembered.
local function forget(asked, job)
  for _, zset in pairs(ZSET) do redis.call('ZREM', zset(asked.lane), asked.id) end
  redis.call('SET', K.job(asked.id), memory_json(job, 'exhausted'), 'EX', input.retention_s)
  lanes[asked.lane] = true
end

-- lose: ends the row alone; another job of the order, and what is known of the last one, stay as they are.
local function lose(asked, account)
  local known = job_read(asked.id)
  local job = { id = asked.id, account = account, batches = input.batch, attempts = 0,
    generation = known and known.generation or 1 }
  local ending = { status = 'exhausted', code = '', message = LOST }
  local told = { counter = 'status:exhausted', result = result_json(job, ending, wall), batches = { input.batch } }
  announce(asked.lane, job, ending, told, wall, input.retention_s)
  exhausted_add(asked.lane, job, '', LOST)
  if not known then forget(asked, job) end
end

-- came: when a row that waits was handed in, wall µs.
local function came(row) return tonumber(string.match(row, '^%d+ (%d+)')) end

-- The rows are read here: since the caller read them, some of their jobs have ended.
local function lose_all(asked)
  local batch = redis.call('HMGET', K.batch(input.batch), 'deadline', 'account', 'hold', 'deadline_s')
  local holds = batch[3] == '1'
  if not holds and (number(batch[1]) or INF) > now then return end
  for index, row in ipairs(rows_read(input.batch, column(asked, 'id'))) do
    local waits = row and not row_ended(row)
    if waits and (not holds or came(row) + batch[4] * SECOND_US <= wall) then lose(asked[index], batch[2]) end
  end
end

jobs_read(column(input.jobs, 'id'))
for _, asked in ipairs(input.jobs) do
  local job = job_read(asked.id)
  if not serves(job) then unserved[#unserved + 1] = asked else expire(asked, job) end
end
if #unserved > 0 then lose_all(unserved) end
write_out(wall)
for lane in pairs(lanes) do board(lane, now) end
redis.call('ZADD', K.deadlines(), 'XX', text(now + (#exhausted > 0 and input.again_us or input.quiet_us)), input.batch)
return '{"exhausted":' .. exhausted_json() .. '}'
