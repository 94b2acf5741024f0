-- confirm: writes what the book, or a push of the exchange, told of jobs.
--
-- Guarantee: given twice, it acts once. A job ends as it was seen; one still live goes back into its lane, or ends exhausted
-- if it was only looked for. A job of another generation, or already ended, is left alone.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: jobs [{id, lane, generation (0: told by a push, any live one whose order it is), ord (ordId at the exchange),
--          act: "end" | "again" | "stay", status, message, filled (amount, ""), looks (how often it was not known)}],
--          retention_s
-- return   JSON: {ended, again, exhausted [{job, lane, account, batches, attempts, code, message}] (jobs that may still be live)}
-- uses     base, board, job, mover, finish

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local lanes, ended, again = {}, 0, 0

-- A push may be faster than the answer to its cancel: the record then ends the job.
local function keep_for_record(job, told)
  change(job, { told = cjson.encode({ status = told.status, message = told.message, filled = told.filled, ord = told.ord }) })
end

-- A push names an order, and a client id may have been used for several: the job's own is known from the cancel's answer.
local function meant(job, told)
  if not job or not job.live then return false end
  if told.generation ~= 0 then return job.state == 'accepted' and job.generation == told.generation end
  return by_order_id(job.id) or job.ord == told.ord
end

local endings = {}

local function ending_of(job, told)
  local ending = { status = told.status, code = job.code or '', message = told.message, filled = told.filled }
  if ending.message == '' then ending.message = job.message or '' end
  local alike = table.concat({ ending.status, ending.code, ending.filled, ending.message }, ' ')
  endings[alike] = endings[alike] or ending
  return endings[alike]
end

local function end_as(job, told)
  finish(told.lane, job, ending_of(job, told), wall, input.retention_s)
  ended = ended + 1
end

local function cancel_again(job, told)
  local attempt = '{"at":' .. text(wall) .. ',"call":"","endpoint":"book","sCode":null,"sMsg":' .. cjson.encode(told.message) .. '}'
  change(job, { log = noted(job.log, attempt) })
  if job.believed == 'exhausted' then
    return exhaust(told.lane, job, told.message .. '; attempts used up', wall, input.retention_s)
  end
  -- a cancel that was answered is no failed attempt, however slow the book is: only deadlines bound how often it goes again
  change(job, { state = 'queued', believed = false, attempts = job.attempts - 1, again = (job.again or 0) + 1 })
  move(told.lane, job, job.place)
  redis.call('ZADD', K.lanes(), text(now), told.lane)
  again = again + 1
end

-- `unknown`: since when the exchange has not known it.
local function stay(job, told)
  local was_unknown = (job.looks or 0) > 0
  change(job, { looks = told.looks, unknown = told.looks > 0 and (was_unknown and job.unknown or text(now)) })
end

local function apply(told)
  local job = job_read(told.id)
  if job and job.state == 'sending' and told.generation == 0 then return keep_for_record(job, told) end
  if not meant(job, told) then return end
  lanes[told.lane] = true
  if told.act == 'stay' then stay(job, told)
  elseif told.act == 'again' then cancel_again(job, told)
  elseif told.status == 'exhausted' then exhaust(told.lane, job, told.message, wall, input.retention_s)
  else end_as(job, told) end
end

jobs_read(column(input.jobs, 'id'))
for _, told in ipairs(input.jobs) do apply(told) end
write_out(wall)
for lane in pairs(lanes) do board(lane, now) end
return '{"ended":' .. ended .. ',"again":' .. again .. ',"exhausted":' .. exhausted_json() .. '}'
