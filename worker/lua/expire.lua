-- expire: ends jobs past their deadline wherever they wait; one that is being sent ends with its record, one that is to
-- be confirmed has a deadline of its own.
--
-- Guarantee: a job whose deadline has not passed is not touched. One that is to be confirmed, of whose book nobody says
-- anything (its account may be gone from the settings), ends abandon_us after it was first met here.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch, jobs [{id, lane}], again_us (a batch that still waits is looked at again then), abandon_us,
--          retention_s
-- return   JSON: {exhausted [{job, lane, account, batches, attempts, code, message}] (jobs that it ended)}

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local lanes = {}

local function abandoned(job)
  if not job.unread then change(job, { unread = text(now) }) end
  return now - tonumber(job.unread) > input.abandon_us
end

jobs_read(column(input.jobs, 'id'))
for _, asked in ipairs(input.jobs) do
  local job = job_read(asked.id)
  if job and job.live and job.state ~= 'sending' and job.state ~= 'accepted' and tonumber(job.deadline) <= now then
    exhaust(asked.lane, job, 'deadline passed', wall, input.retention_s)
    lanes[asked.lane] = true
  elseif job and job.live and job.state == 'accepted' and tonumber(job.deadline) <= now and abandoned(job) then
    exhaust(asked.lane, job, 'its cancel was answered, but nobody reads this account\'s book', wall, input.retention_s)
  end
end
write_out(wall)
for lane in pairs(lanes) do board(lane, now) end
redis.call('ZADD', K.deadlines(), 'XX', text(now + input.again_us), input.batch)
return '{"exhausted":' .. exhausted_json() .. '}'
