-- confirm: writes what the book, or a push of the exchange, told of jobs.
--
-- Guarantee: given twice, it acts once. A job ends as it was seen; one still live goes back into its lane, or ends exhausted
-- if it was only looked for. A job of another generation, or already ended, is left alone.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: findings [{jobs [id] (of which the same was told), ords {id of a job that names a client id: ordId at the
--          exchange of the order that is meant}, lane, generation (0: told by a push, any live one whose order it is),
--          act: "end" | "again" | "stay", status, message, filled (amount, ""), looks (how often it was not known),
--          known (whether it was seen on the book), children [job of what it placed]}], source (digest of the keys and
--          the address by which it was told), retention_s
-- return   JSON: {ended, again (although their cancel was answered), exhausted [{job, lane, account, batches, attempts, code,
--          message}] (jobs that may still be live)}
-- uses     base, board, job, mover, finish

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local lanes, ended, again = {}, 0, 0

-- children_json: of an algo order that fired, what it has placed; nil: nothing.
local function children_json(told)
  return #told.children > 0 and '["' .. table.concat(told.children, '","') .. '"]' or nil
end

local function told_now(_, told, ord)
  return { told = cjson.encode({ status = told.status, message = told.message, filled = told.filled, ord = ord,
    source = input.source, children = children_json(told) }), known = told.known and true or nil }
end

-- A push may be faster than the answer to its cancel: the record then ends the job.
local function keep_for_record(job, told)
  local ord = told.ords[job.id]
  if ord then change(job, told_now(nil, told, ord)) else change_alike(job, told, told_now, told) end
end

-- A push names an order, and a client id may have been used for several: the job's own is known from the cancel's answer.
local function meant(job, told)
  if not job or not job.live then return false end
  if told.generation ~= 0 then return job.state == 'accepted' and job.generation == told.generation end
  return by_order_id(job.id) or job.ord == told.ords[job.id]
end

-- ending_of: one for all jobs that are alike and of which the same was told.
local function ending_of(job, told)
  local endings = collected(told, 'endings')
  local ending = endings[job.common]
  if not ending then
    ending = { status = told.status, code = job.code or '', filled = told.filled, source = input.source,
      children = children_json(told), message = told.message ~= '' and told.message or job.message or '' }
    endings[job.common] = ending
  end
  return ending
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
  local unanswered = job.believed == 'retrying'
  -- a cancel that was answered is no failed attempt, however slow the book is: only deadlines bound how often it goes again
  change(job, { state = 'queued', believed = false, attempts = unanswered and job.attempts or job.attempts - 1,
    again = unanswered and job.again or (job.again or 0) + 1 })
  move(told.lane, job, job.place)
  redis.call('ZADD', K.lanes(), text(now), told.lane)
  if not unanswered then again = again + 1 end
end

-- `unknown`: since when the exchange has not known it.
local function stay(job, told)
  local was_unknown = (job.looks or 0) > 0
  change(job, { looks = told.looks, unknown = told.looks > 0 and (was_unknown and job.unknown or text(now)) })
end

-- learn: a client id is no more needed once it is known which order it meant.
local function learn(job, told)
  if told.known and not job.known then change(job, { known = true }) end
  local ord = told.ords[job.id]
  if ord and not job.ord then change(job, { ord = ord }) end
end

local function apply(told, id)
  local job = job_read(id)
  if job and job.state == 'sending' and told.generation == 0 then return keep_for_record(job, told) end
  if not meant(job, told) then return end
  lanes[told.lane] = true
  learn(job, told)
  if told.act == 'stay' then stay(job, told)
  elseif told.act == 'again' then cancel_again(job, told)
  elseif told.status == 'exhausted' then exhaust(told.lane, job, told.message, wall, input.retention_s)
  else end_as(job, told) end
end

local function told_ids()
  local ids = {}
  for _, told in ipairs(input.findings) do
    for _, id in ipairs(told.jobs) do ids[#ids + 1] = id end
  end
  return ids
end

jobs_read(told_ids())
for _, told in ipairs(input.findings) do
  for _, id in ipairs(told.jobs) do apply(told, id) end
end
write_out(wall)
for lane in pairs(lanes) do board(lane, now) end
return '{"ended":' .. ended .. ',"again":' .. again .. ',"exhausted":' .. exhausted_json() .. '}'
