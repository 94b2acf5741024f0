-- record: writes what came of calls: outcomes or next attempts, slots, rests, counters.
--
-- Guarantee: given twice, it acts once. A job that is still its call's moves as decided. A record that comes after its
-- claim ran out settles its slots and adds to the history; it may end a job that is still live, and never moves one back.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: window_us, retention_s, confirm_us, heard_us (after which a book is looked at; heard_us if its
--          user's channel is heard), lanes {lane: {limits {single, batch}, batch_size, exchange (scope)}}, calls [{lane,
--          claim, call, meter ("single" | "batch"), slots ("settle" | "keep" | "release"), count, probes [scopes that the
--          call probed], elapsed_us (since the first byte could have been written), refused, answered,
--          strike {limit, base_us, cap_us, reason}, rests [{scope, base_us, cap_us, reason}],
--          mended [probed scopes whose rest ends], decided [{act: "finish" | "confirm" | "retry" | "return", status, code,
--          message, delay_us, counts, attempt (JSON text without `at`), generation, jobs [id], ords {id of a job that names
--          a client id: its ordId at the exchange}}]}]; what a call has not is left out: probes, refused, strike, rests,
--          mended, delay_us, ords
-- return   JSON: {due {lane: µs from now (-1: no work)}, calls [{stale (jobs no longer its own),
--          rested [scope] (whose rest began, or goes on)}]}
-- uses     base, window, board, rest, job, mover, totals, finish

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local lanes, users = {}, {}
local NONE = {}

local settled = {}

local function settle_slots(done)
  local key = K.window(done.lane .. ':' .. done.meter)
  if done.slots == 'settle' then
    local slots = collected(settled, key)
    slots[#slots + 1] = with_slots(done.call, done.count)
  elseif done.slots == 'release' then window_release(key, done.call, done.count) end
end

local function ending(decided)
  decided.ending = decided.ending or { status = decided.status, code = decided.code, message = decided.message,
    accepted = decided.status == 'accepted' and text(wall) or nil }
  return decided.ending
end

-- with_attempt: the attempt joins the job's history; `sent` is its first one.
local function with_attempt(fields, done, decided)
  if decided.act == 'return' then return {} end
  return { sent = fields.sent or text(wall - done.elapsed_us), log = noted(fields.log, decided.line) }
end

-- The exchange's word is not the book's: the job waits for a look at it.
local function add_belief(new, fields, decided)
  new.accepted = decided.status == 'accepted' and text(wall) or fields.accepted
  return believing(new, decided.status, decided.code, decided.message)
end

local function await_confirmation(lane, job, decided)
  local ord = decided.ords and decided.ords[job.id]
  if ord and not job.ord then change(job, { ord = ord }) end
  move(lane, job, text(now))
  users[uid_of(lane)] = true
end

-- The job of a failed probe comes back just after the rest, so that another job is the next probe: the cause may be its own.
local BEHIND_US = 50000

local function begin_rest(done, rest)
  local probe = false
  for _, scope in ipairs(done.probes or NONE) do probe = probe or scope == rest.scope end
  if not rest_begin(rest.scope, rest, now, wall, probe) then return end
  done.rested[#done.rested + 1] = cjson.encode(rest.scope)
  if probe then done.behind_us = math.max(done.behind_us, rest_until(rest.scope) - now + BEHIND_US) end
end

-- What a push told while the cancel was under way.
local function pushed_of(job, decided)
  local told = pushed(job, (decided.ords or NONE)[job.id])
  if not told then return nil end
  local message = told.message ~= '' and told.message or decided.message
  return { status = told.status, code = decided.code, message = message, filled = told.filled, source = told.source,
    children = told.children, accepted = decided.status == 'accepted' and text(wall) or nil }
end

-- after_call: what becomes of jobs that are still the call's.
local function after_call(fields, done, decided)
  local new = with_attempt(fields, done, decided)
  new.call, new.attempts = false, fields.attempts - (decided.counts and 0 or 1)
  return new
end

local function after_call_believed(fields, done, decided)
  return add_belief(after_call(fields, done, decided), fields, decided)
end

local function after_call_again(fields, done, decided)
  local new = after_call(fields, done, decided)
  new.state = decided.delay_us > 0 and 'retrying' or 'queued'
  return new
end

local function move_on(done, job, decided)
  local lane, pushed = done.lane, pushed_of(job, decided)
  if pushed then
    change(job, after_call(job, done, decided))
    finish(lane, job, pushed, wall, input.retention_s)
  elseif decided.act == 'finish' then
    change_alike(job, decided, after_call, done, decided)
    finish(lane, job, ending(decided), wall, input.retention_s)
  elseif decided.act == 'confirm' then
    change_alike(job, decided, after_call_believed, done, decided)
    await_confirmation(lane, job, decided)
  else
    change_alike(job, decided, after_call_again, done, decided)
    move(lane, job, decided.delay_us > 0 and text(now + decided.delay_us) or job.place)
  end
end

-- The claim ran out: the job may be queued again, or another call's.
local function apply_late(done, job, decided)
  if decided.act == 'return' then return end
  local tells, waits = decided.status ~= 'exhausted', IN_LINE[job.state] or job.believed == 'retrying'
  local new = with_attempt(job, done, decided)
  if decided.act == 'confirm' and tells and waits then
    change(job, add_belief(new, job, decided))
    return await_confirmation(done.lane, job, decided)
  end
  change(job, new)
  if decided.act == 'finish' and tells then finish(done.lane, job, ending(decided), wall, input.retention_s) end
end

local function apply(done, decided, id)
  local job = job_read(id)
  local known = job and job.live and job.generation == decided.generation
  if not known or job.call ~= done.call then done.stale = done.stale + 1 end
  if not known then return end
  if job.call == done.call then move_on(done, job, decided) else apply_late(done, job, decided) end
end

local function decided_ids()
  local ids = {}
  for _, done in ipairs(input.calls) do
    for _, decided in ipairs(done.decided) do
      for _, id in ipairs(decided.jobs) do ids[#ids + 1] = id end
    end
  end
  return ids
end

local function apply_to_all(done, decided)
  decided.line = '{"at":' .. text(wall) .. ',' .. string.sub(decided.attempt, 2)
  decided.delay_us = decided.act == 'retry' and math.max(decided.delay_us or 0, done.behind_us) or 0
  for _, id in ipairs(decided.jobs) do apply(done, decided, id) end
end

local STRIKES_KEPT_S = 60 -- calls further apart than this are not in a row

local no_strikes = {}

-- Calls in a row without an answer: only so many, then the exchange's address rests.
local function count_strikes(done)
  local key = K.strikes(input.lanes[done.lane].exchange)
  if done.answered and not no_strikes[key] then redis.call('DEL', key) end
  no_strikes[key] = done.answered
  if not done.strike then return end
  local strikes = redis.call('INCR', key)
  redis.call('EXPIRE', key, STRIKES_KEPT_S)
  if strikes >= done.strike.limit then begin_rest(done, done.strike) end
end

local function count_calls(done)
  tally(K.lane(done.lane), 'sent', done.slots == 'release' and 0 or done.count)
  tally(K.totals(), 'calls:' .. done.meter, done.slots == 'release' and 0 or 1)
  if done.answered then observe('call:' .. done.meter, done.elapsed_us, 1) end
  if not done.refused then return end
  tally(K.totals(), 'refused:' .. done.meter, 1)
  tally(K.lane(done.lane), 'refused', 1)
  redis.call('HSET', K.lane(done.lane), 'refused_at', text(wall))
end

local function lane_of(done)
  local lane = lanes[done.lane] or { floor_us = 0, fresh = false }
  lane.fresh = lane.fresh or not done.repeated
  if done.slots ~= 'release' then lane.floor_us = LINGER_US end
  lanes[done.lane] = lane
end

-- By claim: which calls are recorded, here or before.
local marks = {}

local function marks_read()
  local fields = {}
  for _, done in ipairs(input.calls) do
    local names = collected(fields, done.claim)
    names[#names + 1] = 'done:' .. done.call
  end
  for claim, names in pairs(fields) do
    local known, read = { new = {} }, redis.call('HMGET', K.claim(claim), unpack(names))
    for index, name in ipairs(names) do known[name] = read[index] end
    marks[claim] = known
  end
end

local function marks_write()
  for claim, known in pairs(marks) do
    if #known.new > 0 then
      redis.call('HSET', K.claim(claim), unpack(known.new))
      redis.call('EXPIRE', K.claim(claim), ANSWER_KEPT_S)
    end
  end
end

-- is_repeated: the call has been recorded; from now on it has.
local function is_repeated(done)
  local known, name = marks[done.claim], 'done:' .. done.call
  if known[name] then return true end
  known[name], known.new[#known.new + 1], known.new[#known.new + 2] = '1', name, '1'
  return false
end

local function record(done)
  done.stale, done.rested, done.behind_us = 0, {}, 0
  done.repeated = is_repeated(done)
  lane_of(done)
  if done.repeated then return end
  settle_slots(done)
  count_strikes(done)
  for _, rest in ipairs(done.rests or NONE) do begin_rest(done, rest) end
  for _, decided in ipairs(done.decided) do apply_to_all(done, decided) end
  count_calls(done)
end

-- A lane that asked while its own probe was out waits for the probe's lease; now the rest itself says how long.
local function end_rests(done)
  if done.repeated then return end
  for _, scope in ipairs(done.mended or NONE) do rest_end(scope, now) end
  if done.probes then redis.call('HDEL', K.lane(done.lane), 'held') end
end

local function done_json(done)
  return '{"stale":' .. done.stale .. ',"rested":[' .. table.concat(done.rested, ',') .. ']}'
end

jobs_read(decided_ids())
marks_read()
for _, done in ipairs(input.calls) do record(done) end
marks_write()
for key, slots in pairs(settled) do window_set(key, slots, now + input.window_us, now) end
write_out(wall)
for uid in pairs(users) do
  look_due(uid, now + (redis.call('GET', K.heard(uid)) and input.heard_us or input.confirm_us), false)
end
for lane, its in pairs(lanes) do
  local meters = input.lanes[lane]
  if its.fresh then slots_note(lane, meters.limits, meters.batch_size, now) end
end
local calls, due = {}, {}
for index, done in ipairs(input.calls) do
  end_rests(done)
  calls[index] = done_json(done)
end
for lane, its in pairs(lanes) do due[#due + 1] = cjson.encode(lane) .. ':' .. board(lane, now, its.floor_us) end
return '{"due":{' .. table.concat(due, ',') .. '},"calls":[' .. table.concat(calls, ',') .. ']}'
