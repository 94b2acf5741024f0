-- How a job ends: a row and a count for every batch that waits, one entry in the outcome stream, once.

-- kept_s: how long a batch of which nothing waits is kept: for its retention, counted from its deadline if it is not
-- sealed, since orders may still come. Nil: without end, as long as a mass cancel may find more.
local function kept_s(sealed, retention, deadline_wall, mass, wall)
  if sealed == '1' then return retention end
  if mass == '1' then return nil end
  return text(retention + math.max(0, math.ceil((deadline_wall - wall) / SECOND_US)))
end

-- batch_complete: notes it once, and that workers are to log it.
local function batch_complete(batch, wall)
  if redis.call('HSETNX', K.batch(batch), 'completed', text(wall)) == 0 then return end
  redis.call('ZADD', K.ended(), text(wall), batch)
  redis.call('ZREMRANGEBYSCORE', K.ended(), '-inf', text(wall - DAY_S * SECOND_US))
  if redis.call('ZSCORE', K.surveys(), batch) then survey_due(batch, 0) end
end

-- last_ended: of a mass cancel that waits for its last order to be flat, the next listing may be the first that counts.
local function last_ended(mass)
  local read = redis.call('HMGET', K.mass(mass), 'hastens', 'soonest')
  if read[1] then listing_sooner(mass, clock_us, read[2]) end
end

-- batch_close: a batch of which nothing waits has no deadline any more, and is complete if it is sealed.
local function batch_close(batch, wall)
  local read = redis.call('HMGET', K.batch(batch), 'waiting', 'sealed', 'retention', 'deadline_wall', 'mass')
  if number(read[1]) ~= 0 then return end
  if read[2] == '1' then batch_complete(batch, wall)
  elseif read[5] == '1' then last_ended(batch) end
  redis.call('ZREM', K.deadlines(), batch)
  local seconds = kept_s(read[2], read[3], read[4], read[5], wall)
  if not seconds then return end
  redis.call('EXPIRE', K.batch(batch), seconds)
  redis.call('EXPIRE', K.rows(batch), seconds)
  if read[5] == '1' then redis.call('EXPIRE', K.mass(batch), seconds) end
end

-- row_ended: whether a row has its outcome: it is JSON then, and 'n enqueued clOrdId' before, with a JSON object behind
-- it if a later release keeps more.
local function row_ended(row) return string.sub(row, 1, 1) == '{' end

-- row_json: what a batch keeps of an ended job, and when that was handed in; `waiting` is the row it had.
local function row_json(waiting, result)
  local n, enqueued, client_id, more = string.match(waiting, '^(%d+) (%d+) ?(%S*) ?{?(.*)$')
  return '{"n":' .. n .. ',"enqueued":' .. enqueued .. ',"clOrdId":' .. quoted(client_id) .. ',' .. result ..
    (#more < 2 and '}' or ',' .. more), enqueued
end

-- Rows that end are collected, too: batch → {jobs, told [{counter, result}]}.
local rows_ending = {}

-- How many jobs ended, by what is told of them and by lane.
local jobs_ended = {}

-- row_end: the batch's row of the job ends; told = {counter, result, known (false: the exchange never knew its order)}.
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

-- stages_observe: how long each stage took of `count` jobs that went all the way, handed in at `enqueued`; times are wall µs.
local function stages_observe(enqueued, told, count)
  if not told.sent then return end
  observe('sent', told.sent - number(enqueued), count)
  if not told.accepted then return end
  observe('accepted', told.accepted - told.sent, count)
  if OFF_THE_BOOK[told.status] then observe('confirmed', told.finished - told.accepted, count) end
end

-- filled_of: the filled amount in the text of a result; quotes in its other fields have a backslash before them.
local function filled_of(result) return string.match(result, '"accFillSz":"([^"]*)"') end

-- partly_filled(status, filled): whether some of an order was filled that ended otherwise.
local function partly_filled(status, filled) return status ~= 'filled' and string.find(filled or '', '[1-9]') ~= nil end

-- ends_count: counted = told → {when rows were handed in: how many of them ended so}.
local function ends_count(key, counted)
  for told, handed_in in pairs(counted) do
    for enqueued, count in pairs(handed_in) do
      tally(key, told.counter, count)
      if told.known == false then tally(key, 'never_known', count) end
      if partly_filled(string.sub(told.counter, 8), filled_of(told.result)) then tally(key, 'partly_filled', count) end
      stages_observe(enqueued, told, count)
    end
  end
end

local function rows_write(batch, rows)
  local ended, key, counted = {}, K.batch(batch), {}
  for index, row in ipairs(rows_read(batch, rows.jobs)) do
    if row then
      local told = rows.told[index]
      local json, enqueued = row_json(row, told.result)
      ended[#ended + 1] = rows.jobs[index]
      ended[#ended + 1] = json
      local handed_in = collected(counted, told)
      handed_in[enqueued] = (handed_in[enqueued] or 0) + 1
    end
  end
  if #ended == 0 then return end
  ends_count(key, counted)
  tally(key, 'waiting', -#ended / 2)
  hset_all(K.rows(batch), ended)
end

local function jobs_ended_tally()
  for told, lanes in pairs(jobs_ended) do
    for lane, count in pairs(lanes) do
      tally(K.lane(lane), told.counter, count)
      tally(K.totals(), told.counter, count)
    end
  end
  jobs_ended = {}
end

-- write_out: what moves and ends have collected; before the board is looked at.
local function write_out(wall)
  jobs_write()
  local touched = rows_ending
  for batch, rows in pairs(touched) do rows_write(batch, rows) end
  jobs_ended_tally()
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

-- named_json: of a job that names a client id, when it was handed in, and which order that was.
local function named_json(job)
  return (job.asked and ',"asked":' .. job.asked or '') .. (job.ord and ',"ord":' .. quoted(job.ord) or '')
end

-- code_said: why the exchange refused the last cancel in a job's log that it answered; '' if it refused none, or took that one.
local function code_said(job)
  local last = ''
  for code in string.gmatch(job.log or '', '"sCode": ?"([^"]+)"') do last = code end
  return last == '0' and '' or last
end

-- result_json: `finished` is for people; `clock`, on the verbs' clock, tells whether the order was seen open after that.
local function result_json(job, ending, wall, known)
  return '"status":"' .. ending.status .. '","sCode":' .. quoted(ending.code) .. ',"sMsg":' ..
    quoted(ending.message) .. ',"attempts":' .. cancels(job) .. ',"generation":' .. job.generation ..
    ',"first_sent":' .. (job.sent or 'null') .. ',"accepted":' .. (ending.accepted or job.accepted or 'null') ..
    ',"accFillSz":' .. quoted(ending.filled or '') .. ',"finished":' .. text(wall) .. ',"clock":' .. text(clock_us) ..
    named_json(job) .. (ending.children and ',"children":' .. ending.children or '') .. (known ~= nil and ',"known":' .. tostring(known) or '') .. ',"log":[' .. log_json(job.log) .. ']'
end

-- memory_json: what is kept of an ended job; of one whose cancel was given up, for whom that was. source: by which keys and
-- address the exchange told its end, or nil.
local function memory_json(job, status, result, source)
  if OFF_THE_BOOK[status] then
    return cjson.encode({ state = status, generation = job.generation, result = result, source = source })
  end
  return cjson.encode({ state = status, generation = job.generation, account = job.account,
    gave_up = status == 'exhausted' and job.batches or nil })
end

-- was_known: of a job that ends `gone`, whether the exchange ever knew its order: it took a cancel of it or listed it (as it
-- does for every order of a mass cancel). Else its id may be a wrong one. Nil: it ends otherwise.
local function was_known(job, ending)
  if ending.status ~= 'gone' then return nil end
  if job.accepted or ending.accepted or job.known then return true end
  for _, batch in ipairs(words(job.batches)) do
    if redis.call('HGET', K.batch(batch), 'mass') == '1' then return true end
  end
  return false
end

-- told_of: what is told of a job's end: {counter, result, known, memory and kept_s (text), batches [batch], status, sent,
-- accepted, finished}; jobs alike that end alike share it.
local function told_of(job, ending, wall, retention)
  ending.told = ending.told or {}
  local told = ending.told[job.common]
  if not told then
    local known = was_known(job, ending)
    local result = result_json(job, ending, wall, known)
    told = { counter = 'status:' .. ending.status, result = result, known = known, batches = words(job.batches),
      kept_s = text(retention), status = ending.status, sent = number(job.sent), finished = wall,
      accepted = number(ending.accepted or job.accepted) }
    told.memory = memory_json(job, ending.status, told.result, ending.source)
    ending.told[job.common] = told
  end
  return told
end

local outcomes_trimmed = false

-- outcomes_trim: what is older than the retention goes, but for the last of it: a follower may be there, however long nothing
-- ended, and that it still stands proves to him that he missed none. Looked for only if there is any: XREVRANGE from before
-- the first entry walks through the whole stream, a week of outcomes, to find nothing.
local function outcomes_trim(wall, retention)
  if outcomes_trimmed then return end
  outcomes_trimmed = true
  local oldest = stream_min(wall, retention)
  if not redis.call('XRANGE', K.outcomes(), '-', oldest, 'COUNT', 1)[1] then return end
  local last = redis.call('XREVRANGE', K.outcomes(), oldest, '-', 'COUNT', 1)[1]
  redis.call('XTRIM', K.outcomes(), 'MINID', '~', last[1])
end

local KNOWN = { [true] = '1', [false] = '0' }

-- outcome_of: the stream's entry of a job; those that end alike differ in its fourth value, the job's id.
local function outcome_of(job, ending, known, wall)
  return { K.outcomes(), '*', 'order', '', 'account', job.account, 'generation', text(job.generation),
    'status', ending.status, 'sCode', ending.code, 'sMsg', ending.message, 'attempts', text(cancels(job)),
    'finished', text(wall), 'batches', job.batches or '', 'accFillSz', ending.filled or '',
    'known', KNOWN[known] or '', unpack(ending.children and { 'children', ending.children } or {}) }
end

local function outcome_add(job, ending, told, wall, retention)
  outcomes_trim(wall, retention)
  told.outcome = told.outcome or outcome_of(job, ending, told.known, wall)
  told.outcome[4] = job.id
  redis.call('XADD', unpack(told.outcome))
end

-- open_next: a client id that was asked for again after its job's first send gets a generation of its own.
local function open_next(lane, job)
  if not job.next then return end
  local following = cjson.decode(job.next)
  following.look_first = true
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
  outcome_add(job, ending, told, wall, retention)
  local lanes = collected(jobs_ended, told)
  lanes[lane] = (lanes[lane] or 0) + 1
  expose(job, ending.status, wall, retention)
end

-- finish(lane, job, ending): ending = {status, code, message, accepted µs as text or nil, filled, children (jobs of what it
-- placed, as JSON, or nil)}, the same table for all
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
    local ending = { status = told.status, code = '', message = told.message, filled = told.filled, source = told.source,
      children = told.children }
    return finish(lane, job, ending, wall, retention)
  end
  local code = code_said(job)
  exhausted_add(lane, job, code, message)
  finish(lane, job, { status = 'exhausted', code = code, message = message }, wall, retention)
end

local function exhausted_json() return '[' .. table.concat(exhausted, ',') .. ']' end
