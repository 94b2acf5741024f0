-- How a job ends: a row and a count for every batch that waits, one entry in the outcome stream, once.

-- kept_s: how long a batch of which nothing waits is kept: for its retention, counted from its deadline if it is not
-- sealed, since orders may still come. Nil: without end, as long as a mass cancel may find more.
local function kept_s(sealed, retention, deadline_wall, mass, wall)
  if sealed == '1' then return retention end
  if mass == '1' then return nil end
  return text(retention + math.max(0, math.ceil((deadline_wall - wall) / SECOND_US)))
end

-- batch_close: a batch of which nothing waits has no deadline any more, and is complete if it is sealed.
local function batch_close(batch, wall)
  local read = redis.call('HMGET', K.batch(batch), 'waiting', 'sealed', 'retention', 'deadline_wall', 'mass')
  if number(read[1]) ~= 0 then return end
  if read[2] == '1' then redis.call('HSETNX', K.batch(batch), 'completed', text(wall)) end
  redis.call('ZREM', K.deadlines(), batch)
  local seconds = kept_s(read[2], read[3], read[4], read[5], wall)
  if not seconds then return end
  redis.call('EXPIRE', K.batch(batch), seconds)
  redis.call('EXPIRE', K.rows(batch), seconds)
end

-- row_ended: whether a row has its outcome: it is JSON then, and 'n enqueued clOrdId' before.
local function row_ended(row) return string.sub(row, 1, 1) == '{' end

-- row_json: what a batch keeps of an ended job; `waiting` is the row it had.
local function row_json(waiting, result)
  local n, enqueued, client_id = string.match(waiting, '^(%d+) (%d+) ?(%S*)$')
  return '{"n":' .. n .. ',"enqueued":' .. enqueued .. ',"clOrdId":' .. quoted(client_id) .. ',' .. result .. '}'
end

-- Rows that end are collected, too: batch → {jobs, told [{counter, result}]}.
local rows_ending = {}

-- row_end: the batch's row of the job ends; told = {counter, result}.
local function row_end(batch, job, told)
  local rows = rows_ending[batch] or { jobs = {}, told = {} }
  rows_ending[batch] = rows
  rows.jobs[#rows.jobs + 1] = job
  rows.told[#rows.told + 1] = told
end

-- rows_read: the row of each job, false where there is none.
local function rows_read(batch, jobs)
  local read = {}
  in_chunks(jobs, function(...)
    for _, row in ipairs(redis.call('HMGET', K.rows(batch), ...)) do read[#read + 1] = row end
  end)
  return read
end

local function rows_write(batch, rows)
  local ended, key = {}, K.batch(batch)
  for index, row in ipairs(rows_read(batch, rows.jobs)) do
    if row then
      ended[#ended + 1] = rows.jobs[index]
      ended[#ended + 1] = row_json(row, rows.told[index].result)
      tally(key, rows.told[index].counter, 1)
    end
  end
  if #ended == 0 then return end
  tally(key, 'waiting', -#ended / 2)
  hset_all(K.rows(batch), ended)
end

-- write_out: what moves and ends have collected; before the board is looked at.
local function write_out(wall)
  jobs_write()
  local touched = rows_ending
  for batch, rows in pairs(touched) do rows_write(batch, rows) end
  counts_write()
  for batch in pairs(touched) do batch_close(batch, wall) end
  rows_ending = {}
end

-- log_json: the attempts of a log, as the inside of a JSON list.
local function log_json(log)
  if not log then return '' end
  return string.find(log, '\n', 1, true) and string.gsub(log, '\n', ',') or log
end

-- cancels: how many were sent for it: attempts, and those after which it was found on the book.
local function cancels(job) return job.attempts + (job.again or 0) end

local function result_json(job, ending, wall)
  return '"status":"' .. ending.status .. '","sCode":' .. quoted(ending.code) .. ',"sMsg":' ..
    quoted(ending.message) .. ',"attempts":' .. cancels(job) .. ',"generation":' .. job.generation ..
    ',"first_sent":' .. (job.sent or 'null') .. ',"accepted":' .. (ending.accepted or job.accepted or 'null') ..
    ',"accFillSz":' .. quoted(ending.filled or '') .. ',"finished":' .. text(wall) ..
    ',"log":[' .. log_json(job.log) .. ']'
end

-- memory_json: what is kept of an ended job; of one whose cancel was given up, for whom that was.
local function memory_json(job, status, result)
  if OFF_THE_BOOK[status] then return cjson.encode({ state = status, generation = job.generation, result = result }) end
  return cjson.encode({ state = status, generation = job.generation, account = job.account,
    gave_up = status == 'exhausted' and job.batches or nil })
end

-- told_of: what is told of a job's end: {counter, result, memory, batches [batch], retention}; jobs alike that end alike share it.
local function told_of(job, ending, wall, retention)
  ending.told = ending.told or {}
  local told = ending.told[job.common]
  if not told then
    told = { counter = 'status:' .. ending.status, result = result_json(job, ending, wall), batches = words(job.batches),
      retention = retention }
    told.memory = memory_json(job, ending.status, told.result)
    ending.told[job.common] = told
  end
  return told
end

local outcomes_trimmed = false

local function outcomes_trim(wall, retention)
  if outcomes_trimmed then return end
  redis.call('XTRIM', K.outcomes(), 'MINID', '~', stream_min(wall, retention))
  outcomes_trimmed = true
end

local function outcome_add(job, ending, wall, retention)
  outcomes_trim(wall, retention)
  redis.call('XADD', K.outcomes(), '*', 'order', job.id, 'account', job.account, 'generation', text(job.generation),
    'status', ending.status, 'sCode', ending.code, 'sMsg', ending.message, 'attempts', text(cancels(job)),
    'finished', text(wall), 'batches', job.batches or '', 'accFillSz', ending.filled or '')
end

-- open_next: a client id that was asked for again after its job's first send gets a generation of its own.
local function open_next(lane, job)
  if not job.next then return end
  local following = cjson.decode(job.next)
  open(lane, job.id, job, following, following.place)
end

-- An order whose cancel was given up is remembered as perhaps live, until a later generation has it off the book.
local function expose(job, status, wall, retention)
  if status == 'exhausted' then
    redis.call('ZADD', K.may_be_live(), text(wall), job.id)
    redis.call('ZREMRANGEBYSCORE', K.may_be_live(), '-inf', text(wall - retention * SECOND_US))
  elseif job.generation > 1 and (OFF_THE_BOOK[status] or status == 'accepted') then
    redis.call('ZREM', K.may_be_live(), job.id)
  end
end

-- announce: the end of a job, to its batches, the outcome stream and its lane's counters.
local function announce(lane, job, ending, told, wall, retention)
  for _, batch in ipairs(told.batches) do row_end(batch, job.id, told) end
  outcome_add(job, ending, wall, retention)
  tally(K.lane(lane), told.counter, 1)
  expose(job, ending.status, wall, retention)
end

-- finish(lane, job, ending): ending = {status, code, message, accepted µs as text or nil, filled}, the same table for all
-- that end alike; the job must be live.
local function finish(lane, job, ending, wall, retention)
  local told = told_of(job, ending, wall, retention)
  announce(lane, job, ending, told, wall, retention)
  job_end(lane, job, told)
  open_next(lane, job)
end

-- exhaust: ends a job whose attempts or time are used up; the verb answers with all of them, for somebody must be told.
-- One of which a push told how it ended, ends so.
local exhausted = {}

local function exhausted_add(lane, job, code, message)
  exhausted[#exhausted + 1] = '{"job":' .. quoted(job.id) .. ',"lane":' .. quoted(lane) .. ',"account":' ..
    quoted(job.account) .. ',"batches":' .. quoted(job.batches or '') ..
    ',"attempts":' .. cancels(job) .. ',"code":' .. quoted(code) .. ',"message":' .. quoted(message) .. '}'
end

local function exhaust(lane, job, message, wall, retention)
  local told = pushed(job)
  if told then
    local ending = { status = told.status, code = '', message = told.message, filled = told.filled }
    return finish(lane, job, ending, wall, retention)
  end
  local code = job.believed == 'exhausted' and job.code or '' -- what the exchange said of its last attempt
  exhausted_add(lane, job, code, message)
  finish(lane, job, { status = 'exhausted', code = code, message = message }, wall, retention)
end

local function exhausted_json() return '[' .. table.concat(exhausted, ',') .. ']' end
