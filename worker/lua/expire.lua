-- expire: ends jobs past their deadline wherever they wait; one that is being sent ends with its record, one that is to
-- be confirmed has a deadline of its own.
--
-- Guarantee: a job whose deadline has not passed is not touched.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch, jobs [{id, lane}], again_us (a batch that still waits is looked at again then), retention_s
-- return   JSON: {exhausted [{job, lane, account, batches, attempts, code, message}] (jobs that it ended)}

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local lanes = {}

for _, asked in ipairs(input.jobs) do
  local job = job_read(asked.id)
  if job and job.live and job.state ~= 'sending' and job.state ~= 'accepted' and job.deadline <= now then
    exhaust(asked.lane, job, 'deadline passed', wall, input.retention_s)
    lanes[asked.lane] = true
  end
end
write_out(wall)
for lane in pairs(lanes) do board(lane, now) end
redis.call('ZADD', K.deadlines(), 'XX', text(now + input.again_us), input.batch)
return '{"exhausted":' .. exhausted_json() .. '}'
