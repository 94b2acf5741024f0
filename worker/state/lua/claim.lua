-- claim: takes jobs of a lane together with the slots to send them.
--
-- Guarantee: a job leaves the line only with its slot; of limit + 1 slots of a meter one is always granted later than
-- one window after another's arrival; the same claim id gets the same grant. Nothing is granted while the lane, its
-- accounts or the exchange's address rest, nor until slots forgotten by a restarted Redis must have ended. Of a job whose
-- claim ran out, what a push told meanwhile is believed; after its last attempt the book is asked. A job that names a client
-- id and knows no ordId is handed out once: before it goes again, the book is asked which order it means now.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: lane, claim (id, chosen by the caller), permits (calls), accounts [scope, best first], exchange (scope),
--          batch_size (0: single endpoint only), limits {single, batch}, window_us, claim_us (a claim ends by itself),
--          open_us (an open slot ends), blackout_us, max_attempts, retention_s, confirm_us (after which a book is looked at;
--          none: nobody confirms)
-- return   JSON: {account (index from 0, null: none), probes [scope], due (µs from now, -1: no work), reason,
--          calls [{id, meter, jobs [{account, attempts, generation, left (µs to deadline), batches,
--          ord (ordId to send in the place of a client id; "": none), ids [id]}]}],
--          exhausted [{job, lane, account, batches, attempts, code, message}] (jobs that ended here instead of being sent),
--          lost [id] (jobs that stood in the lane, and of which Redis knows nothing more)}
-- uses     base, window, board, rest, job, mover, finish

despite_full_memory()
local input = cjson.decode(ARGV[1])
local lane, now, wall = input.lane, clock()
local scopes = { lane_scope(lane), user_scope(user_of(lane)), input.exchange }
-- a pause of an instrument holds its algo orders, too; a rest does not: they have a meter of their own
local orders_lane, of_algos = string.gsub(lane, ':algo/', '/', 1)
if of_algos > 0 and redis.call('SISMEMBER', K.paused(), lane_scope(orders_lane)) == 1 then
  scopes[#scopes + 1] = lane_scope(orders_lane)
end
local meter = { single = K.window(lane .. ':single'), batch = K.window(lane .. ':batch') }

local given = redis.call('HGET', K.claim(input.claim), 'grant')
if given then return given end

-- At most so many jobs come back at one claim, so that Redis is not held up; the next claim takes the rest.
local TAKEN_BACK = 200
local LINED_UP = 500

local lost, book_asked = {}, false

-- A job without its text (deleted by hand?) must not keep those behind it: it goes, its batch's deadline ends its row.
local function lose(zset, id)
  redis.call('ZREM', zset, id)
  lost[#lost + 1] = id
end

local function jobs_in(command, zset, ...)
  local ids, found = redis.call(command, zset, ...), {}
  jobs_read(ids)
  for _, id in ipairs(ids) do
    local job = job_read(id)
    if job and job.live then found[#found + 1] = job else lose(zset, id) end
  end
  return found
end

local function taken_back(fields)
  return { state = 'queued', call = false, sent = fields.sent or text(wall - input.claim_us), log = noted(fields.log,
    '{"at":' .. text(wall) .. ',"call":"' .. fields.call .. '","sCode":null,"sMsg":"claim ran out"}') }
end

local LAST_RAN_OUT = 'attempts used up; the last claim ran out'

local function perhaps_gone() return believing({}, 'exhausted', '', LAST_RAN_OUT) end

local function ask_book(job)
  change_alike(job, LAST_RAN_OUT, perhaps_gone)
  move(lane, job, text(now))
  book_asked = true
end

-- Claims that ran out: whether their jobs were sent is unknown, so each counts as an attempt and goes again.
local function take_back()
  for _, job in ipairs(jobs_in('ZRANGEBYSCORE', K.claimed(lane), '-inf', text(now), 'LIMIT', 0, TAKEN_BACK)) do
    change_alike(job, 'claim ran out', taken_back)
    local last = job.attempts >= input.max_attempts
    if last and input.confirm_us and not pushed(job) then ask_book(job)
    elseif last or pushed(job) then exhaust(lane, job, LAST_RAN_OUT, wall, input.retention_s)
    else move(lane, job, job.place) end
  end
end

local function queued() return { state = 'queued' } end

local function line_up_retries()
  for _, job in ipairs(jobs_in('ZRANGEBYSCORE', K.later(lane), '-inf', text(now), 'LIMIT', 0, LINED_UP)) do
    change_alike(job, 'due', queued)
    move(lane, job, job.place)
  end
end

-- The rest that forbids sending: returns until µs, scope, reason; or nil and the scopes to probe.
local function resting()
  local probes, worst, why = {}, 0, nil
  for _, scope in ipairs(scopes) do
    local ends = rest_until(scope)
    if ends and ends > worst then worst, why = ends, scope end
    if ends and ends <= now then probes[#probes + 1] = scope end
  end
  if worst > now then return worst, why end
  return nil, probes
end

-- The first account that does not rest, else one that is due a probe, else nil and when the first will be.
local function choose_account()
  local probe, soonest = nil, INF
  for index, scope in ipairs(input.accounts) do
    local ends = rest_until(scope)
    if not ends then return index, false end
    if ends <= now then probe = probe or index end
    soonest = math.min(soonest, ends)
  end
  return probe, true, soonest
end

-- plan: which calls `count` jobs could fill: batch calls while 2 jobs and 2 slots are there, else single ones. After batch
-- calls, only a lone job goes by itself: it is the other lanes' turn before sixty single calls for sixty orders.
local function plan(count, permits, batch_size, single_free, batch_free)
  local sizes, jobs = {}, 0
  while permits > 0 and count > jobs do
    local size = math.min(batch_size, count - jobs, batch_free)
    if size >= 2 then batch_free = batch_free - size
    elseif single_free > 0 and ((sizes[#sizes] or 1) < 2 or count - jobs == 1) then size, single_free = 1, single_free - 1
    else break end
    sizes[#sizes + 1] = size
    jobs, permits = jobs + size, permits - 1
  end
  return sizes, jobs
end

local SENT_TOO_LATE = 'deadline passed before it could be sent again'
local UNSENT_TOO_LATE = 'deadline passed before it could be sent'

-- One that was handed in by version 1.0 does not know when that was: not later than it was sent.
local function unsure_which(fields)
  local asked = fields.asked or fields.sent and text(fields.sent + now - wall)
  return believing({ asked = asked }, 'retrying', '', '')
end

local function must_ask(job) return (job.sent or job.look_first) and not job.ord and not by_order_id(job.id) end

-- No push can end it, so its look does not wait for the channel, as those of jobs do that were answered just now.
local function ask_which(job)
  change_alike(job, 'which order', unsure_which)
  move(lane, job, text(now - SECOND_US))
end

-- gather: the next jobs in line; those past their deadline end here instead of being sent.
local function gather(count)
  local jobs, asked = {}, false
  for _, job in ipairs(jobs_in('ZRANGE', K.ready(lane), 0, count - 1)) do
    if tonumber(job.deadline) <= now then
      exhaust(lane, job, job.sent and SENT_TOO_LATE or UNSENT_TOO_LATE, wall, input.retention_s)
    elseif must_ask(job) then
      ask_which(job)
      asked = true
    else jobs[#jobs + 1] = job end
  end
  if asked then look_due(uid_of(lane), now, false) end
  return jobs
end

local function alike_json(job)
  return '"account":' .. quoted(job.account) .. ',"attempts":' .. job.attempts .. ',"generation":' .. job.generation ..
    ',"left":' .. text(job.deadline - now) .. ',"batches":' .. quoted(job.batches) .. ',"ord":' .. quoted(job.ord or '')
end

-- Jobs in the order of the line; of neighbours that are alike it is said once what they are.
local function jobs_json(jobs)
  local groups, last, parts = {}, nil, {}
  for _, job in ipairs(jobs) do
    if not last or job.common ~= last.common then
      last = { common = job.common, alike = alike_json(job), ids = {} }
      groups[#groups + 1] = last
    end
    last.ids[#last.ids + 1] = '"' .. job.id .. '"'
  end
  for index, group in ipairs(groups) do parts[index] = '{' .. group.alike .. ',"ids":[' .. table.concat(group.ids, ',') .. ']}' end
  return table.concat(parts, ',')
end

local function sending(fields, call) return { state = 'sending', call = call, attempts = fields.attempts + 1 } end

local function hand_out(jobs, call)
  local ends = text(now + input.claim_us)
  for _, job in ipairs(jobs) do
    change_alike(job, call, sending, call)
    move(lane, job, ends)
  end
  return jobs_json(jobs)
end

local function make_calls(sizes, jobs)
  local calls, open, taken = {}, {}, 0
  for index, size in ipairs(sizes) do
    local call, name = input.claim .. ':' .. index, size > 1 and 'batch' or 'single'
    local slots = collected(open, meter[name])
    slots[#slots + 1] = with_slots(call, size)
    local handed = hand_out({ unpack(jobs, taken + 1, taken + size) }, call)
    taken = taken + size
    calls[index] = '{"id":"' .. call .. '","meter":"' .. name .. '","jobs":[' .. handed .. ']}'
  end
  for key, slots in pairs(open) do window_set(key, slots, now + input.open_us + input.window_us, now) end
  return calls
end

local function strings(list)
  local parts = {}
  for index, value in ipairs(list) do parts[index] = cjson.encode(value) end
  return table.concat(parts, ',')
end

local function answer(account, probes, calls, reason)
  write_out(wall)
  slots_note(lane, input.limits, input.batch_size, now)
  redis.call('EXPIRE', K.lane(lane), LANE_KEPT_S)
  local due = board(lane, now, #calls > 0 and LINGER_US or COALESCE_US)
  return '{"account":' .. (account and account - 1 or 'null') .. ',"probes":[' .. strings(probes) .. '],"due":' ..
    due .. ',"reason":' .. cjson.encode(reason) .. ',"calls":[' ..
    table.concat(calls, ',') .. '],"exhausted":' .. exhausted_json() .. ',"lost":[' .. strings(lost) .. ']}'
end

-- remembered: whoever lost the reply asks again by the same claim id.
local function remembered(grant)
  redis.call('HSET', K.claim(input.claim), 'grant', grant)
  redis.call('EXPIRE', K.claim(input.claim), ANSWER_KEPT_S)
  return grant
end

local function wait_for(until_us, waited, reason)
  rest_await(lane, waited, until_us, now)
  local grant = answer(nil, {}, {}, reason)
  return #exhausted > 0 and remembered(grant) or grant
end

take_back()
line_up_retries()
write_out(wall)
if book_asked then look_due(uid_of(lane), now + input.confirm_us, false) end
local block_ends = blocked_until(now, input.blackout_us)
if block_ends > now then return wait_for(block_ends, {}, 'redis restarted') end
local rest_ends, found = resting()
if rest_ends then return wait_for(rest_ends, { found }, found) end
local account, account_rests, soonest = choose_account()
if not account then return wait_for(soonest, input.accounts, input.accounts[1]) end

local probes = found
if account_rests then probes[#probes + 1] = input.accounts[account] end
local batch_size = input.batch_size
local single_free = input.limits.single - window_used(meter.single, now)
local batch_free = input.limits.batch - batch_window_used(meter.batch, now)
-- A probe is one order, or two if only the other meter has room: a batch call of one would be charged to the first.
if #probes > 0 then input.permits, batch_size = 1, single_free > 0 and 0 or math.min(batch_size, 2) end

local _, count = plan(redis.call('ZCARD', K.ready(lane)), input.permits, batch_size, single_free, batch_free)
local jobs = count > 0 and gather(count) or {}
local calls = make_calls(plan(#jobs, input.permits, batch_size, single_free, batch_free), jobs)
if #calls > 0 then
  for _, scope in ipairs(probes) do rest_lease(scope, now + input.claim_us, now) end
end
local grant = answer(account, probes, calls, '')
return (#calls > 0 or #exhausted > 0) and remembered(grant) or grant
