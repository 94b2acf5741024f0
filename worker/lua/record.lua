-- record: writes what came of one call: outcomes or next attempts, slots, rests, counters.
--
-- Guarantee: given twice, it acts once. A job that its call still holds moves as decided. A record that comes after its
-- claim ran out settles its slots and adds to the history; it may end a job that is still live, and never moves one back.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: lane, claim, call, meter ("single" | "batch"), slots ("settle" | "keep" | "release"), count,
--          probes [scopes that the call probed],
--          elapsed_us (since the first byte could have been written), refused, answered, limits {single, batch}, batch_size,
--          window_us, retention_s, exchange (scope), strike {limit, base_us, cap_us, reason} (optional),
--          rests [{scope, base_us, cap_us, reason}], mended [probed scopes whose rest ends],
--          confirm_us (after which a book is looked at), jobs [{id, generation, act: "finish" | "confirm" | "retry" |
--          "return", status, code, message, ord (ordId at the exchange), delay_us, counts, attempt (JSON text without `at`)}]
-- return   JSON: {due (µs from now, -1: no work), stale (jobs no longer held), rested [scopes whose rest began or goes on],
--          repeated}

despite_full_memory()
local input = cjson.decode(ARGV[1])
local lane, now, wall = input.lane, clock()
local key = K.window(lane .. ':' .. input.meter)
local stale, rested, looks = 0, {}, false

local function answer(repeated)
  local due = board(lane, now, input.slots ~= 'release' and LINGER_US or 0)
  return '{"due":' .. due .. ',"stale":' .. stale .. ',"rested":[' .. table.concat(rested, ',') .. '],"repeated":' ..
    tostring(repeated) .. '}'
end

if redis.call('HSETNX', K.claim(input.claim), 'done:' .. input.call, '1') == 0 then return answer(true) end
redis.call('EXPIRE', K.claim(input.claim), 120)

local function settle()
  if input.slots == 'settle' then window_set(key, input.call, input.count, now + input.window_us, now)
  elseif input.slots == 'release' then window_release(key, input.call, input.count) end
end

local function ending(decided)
  return { status = decided.status, code = decided.code, message = decided.message,
    accepted = decided.status == 'accepted' and text(wall) or nil }
end

-- The exchange's word is not the book's: the job waits for a look at it, with what is believed until then.
local function await_confirmation(job, decided)
  move(lane, job, 'accepted', now, 'call', '', 'believed', decided.status, 'code', decided.code, 'message', decided.message,
    'accepted', decided.status == 'accepted' and text(wall) or job.accepted or '', 'ord', decided.ord, 'looks', 0,
    'attempts', job.attempts, 'log', job.log or '', 'sent', job.sent or '')
  looks = true
end

-- The job of a failed probe comes back just after the rest, so that another job is the next probe: the cause may be its own.
local BEHIND_US = 50000
local behind_us = 0

local function begin_rest(rest)
  local probe = false
  for _, scope in ipairs(input.probes) do probe = probe or scope == rest.scope end
  if not rest_begin(rest.scope, rest, now, wall, probe) then return end
  rested[#rested + 1] = cjson.encode(rest.scope)
  if probe then behind_us = math.max(behind_us, rest_until(rest.scope) - now + BEHIND_US) end
end

-- The attempt joins the job's history; `sent` is its first one.
local function remember(job, decided)
  if decided.act == 'return' then return end
  job.sent = job.sent or text(wall - input.elapsed_us)
  note(job, '{"at":' .. text(wall) .. ',' .. string.sub(decided.attempt, 2))
end

-- What a push told while the cancel was under way; of a client id the answer says whose order it is.
local function told_of(job, decided)
  local told = job.told and cjson.decode(job.told)
  if not told or not (string.match(job.id, '/o%d+$') or decided.ord == told.ord) then return nil end
  local message = told.message ~= '' and told.message or decided.message
  return { status = told.status, code = decided.code, message = message, filled = told.filled,
    accepted = decided.status == 'accepted' and text(wall) or nil }
end

-- The claim still holds the job: it moves as decided.
local function move_on(job, decided)
  if not decided.counts then job.attempts = job.attempts - 1 end
  local told = told_of(job, decided)
  if told then return finish(lane, job, told, wall, input.retention_s) end
  if decided.act == 'finish' then return finish(lane, job, ending(decided), wall, input.retention_s) end
  if decided.act == 'confirm' then return await_confirmation(job, decided) end
  local delay_us = decided.act == 'retry' and math.max(decided.delay_us, behind_us) or 0
  move(lane, job, delay_us > 0 and 'retrying' or 'queued', delay_us > 0 and now + delay_us or tonumber(job.place),
    'call', '', 'attempts', job.attempts, 'log', job.log or '', 'sent', job.sent or '')
end

local function apply(decided)
  local job = job_read(decided.id)
  if not job or not job.live or tonumber(job.generation) ~= decided.generation then
    stale = stale + 1
    return
  end
  remember(job, decided)
  if job.call == input.call then return move_on(job, decided) end
  stale = stale + 1
  if decided.act == 'finish' and decided.status ~= 'exhausted' then
    finish(lane, job, ending(decided), wall, input.retention_s)
  elseif decided.act == 'confirm' and decided.status ~= 'exhausted' and job.state ~= 'sending' and job.state ~= 'accepted' then
    await_confirmation(job, decided)
  elseif decided.act ~= 'return' then
    redis.call('HSET', K.job(job.id), 'log', job.log, 'sent', job.sent)
  end
end

-- Calls in a row without an answer: only so many, then the exchange's address rests.
local function count_strikes()
  if input.answered then redis.call('DEL', K.strikes(input.exchange)) end
  if not input.strike then return end
  local strikes = redis.call('INCR', K.strikes(input.exchange))
  redis.call('EXPIRE', K.strikes(input.exchange), 60)
  if strikes >= input.strike.limit then begin_rest(input.strike) end
end

settle()
count_strikes()
for _, rest in ipairs(input.rests) do begin_rest(rest) end
for _, decided in ipairs(input.jobs) do apply(decided) end
tally(K.lane(lane), 'sent', input.slots == 'release' and 0 or input.count)
if input.refused then
  tally(K.lane(lane), 'refused', 1)
  redis.call('HSET', K.lane(lane), 'refused_at', text(wall))
end
write_out(wall)
if looks then look_at(string.match(lane, '^[^/]+'), now + input.confirm_us, false) end
slots_note(lane, input.limits, input.batch_size, now)
for _, scope in ipairs(input.mended) do rest_end(scope, now) end
-- A lane that asked while its own probe was out waits for the probe's lease; now the rest itself says how long.
if #input.probes > 0 then redis.call('HDEL', K.lane(lane), 'held') end
return answer(false)
