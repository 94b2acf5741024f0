-- withdraw: takes a batch back from those of its orders that were never sent.
--
-- Guarantee: an order that was sent, or is being sent, goes on and keeps its batch. A job ends only when no other batch
-- waits for it. The same step of a decision acts once and gets the same answer.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: decision (id, chosen by the caller), step (its number), by, reason, batch, jobs [{id, lane}], filter (JSON
--          text of what chose these orders of the batch; "": all of them), retention_s
-- return   JSON: {withdrawn, sent (too late), ended (had their outcome before)}
-- uses     base, board, job, finish, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local given = decision_given(input)
if given then return given end
local now, wall = clock()
local count = { withdrawn = 0, sent = 0, ended = 0 }
local lanes = {}
local ENDING = { status = 'withdrawn', code = '', message = 'withdrawn by ' .. input.by ..
  (input.reason ~= '' and ': ' .. input.reason or '') }

local function waits(batches) return #others_of(batches, input.batch) < #words(batches) end

-- Those who still wait say how long.
local function deadline_of(batches, before)
  local latest = 0
  for _, batch in ipairs(batches) do
    latest = math.max(latest, number(redis.call('HGET', K.batch(batch), 'deadline')) or INF)
  end
  return text(math.min(tonumber(before), latest))
end

local function end_row(job, generation, asked)
  local unsent = { attempts = 0, generation = generation, asked = asked }
  row_end(input.batch, job.id, { counter = 'status:' .. ENDING.status, result = result_json(unsent, ENDING, wall) })
end

-- The batch waits for the generation after this one.
local function leave_next(job)
  local following = cjson.decode(job.next)
  local others, asked = others_of(following.batches, input.batch), following.asked
  following.batches, following.deadline = table.concat(others, ' '), deadline_of(others, following.deadline)
  change(job, { next = #others > 0 and cjson.encode(following) })
  end_row(job, job.generation + 1, asked)
end

local function detach(lane, job)
  local others = others_of(job.batches, input.batch)
  if #others == 0 then return finish(lane, job, ENDING, wall, input.retention_s) end
  change(job, { batches = table.concat(others, ' '), deadline = deadline_of(others, job.deadline) })
  end_row(job, job.generation, job.asked)
end

local function withdraw(lane, job)
  if job.next and waits(cjson.decode(job.next).batches) then leave_next(job)
  elseif job.sent or not IN_LINE[job.state] then
    count.sent = count.sent + 1
    return
  else detach(lane, job) end
  count.withdrawn = count.withdrawn + 1
  lanes[lane] = true
end

local function row_of(asked) return redis.call('HGET', K.rows(input.batch), asked.id) end

for _, asked in ipairs(input.jobs) do
  local row = row_of(asked)
  local job = row and not row_ended(row) and job_read(asked.id)
  if job and job.live then withdraw(asked.lane, job) else count.ended = count.ended + 1 end
end
write_out(wall)
for lane in pairs(lanes) do board(lane, now) end
local answer = cjson.encode(count)
if count.withdrawn > 0 then
  audit({ event = 'withdraw', by = input.by, reason = input.reason, batch = input.batch, decision = input.decision,
    account = redis.call('HGET', K.batch(input.batch), 'account'), facts = with_filter(answer, input.filter) }, wall, input.retention_s)
end
return decision_answer(input, answer)
