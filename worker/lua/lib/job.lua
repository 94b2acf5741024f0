-- The one mover: a live job is in exactly one place of its lane, the one that its state names.

local function unconfirmed(lane) return K.unconfirmed(uid_of(lane)) end

-- by_order_id: the job names its order by the exchange's id; a client id may be used again.
local function by_order_id(job) return string.match(job, '/o%d+$') ~= nil end

local PLACE = { queued = K.ready, retrying = K.later, sending = K.claimed, accepted = unconfirmed }
local OFF_BOOK = { canceled = true, filled = true, gone = true }
local LOG_KEPT = 10

-- read: a job with all its fields, or nil.
local function job_read(job)
  local key = K.job(job)
  local values = redis.call('HGETALL', key)
  if not values[1] then return nil end
  local read = { id = job, key = key }
  for index = 1, #values, 2 do
    if values[index + 1] ~= '' then read[values[index]] = values[index + 1] end
  end
  read.attempts = number(read.attempts) or 0
  read.deadline = number(read.deadline) or INF
  read.live = read.place ~= nil and PLACE[read.state] ~= nil -- an ended job has no place in line
  return read
end

-- Moves and counts are collected, and written together by `write_out`: one command for each place and counter.
local leaving, entering, counts = {}, {}, {}

local function collected(into, key)
  local list = into[key]
  if not list then
    list = {}
    into[key] = list
  end
  return list
end

local function enter(zset, score, job)
  local list = collected(entering, zset)
  list[#list + 1] = score
  list[#list + 1] = job
end

local function tally(key, field, by)
  local fields = collected(counts, key)
  fields[field] = (fields[field] or 0) + by
end

local function leave(lane, job)
  if not PLACE[job.state] then return end
  local list = collected(leaving, PLACE[job.state](lane))
  list[#list + 1] = job.id
end

-- move: takes a live job out of its place and puts it into that of `state`, with `score`; more fields may be set with it.
local function move(lane, job, state, score, ...)
  leave(lane, job)
  enter(PLACE[state](lane), text(score), job.id)
  redis.call('HSET', job.key, 'state', state, ...)
  job.state = state
end

-- Lua can unpack some thousands of values at once.
local function in_parts(command, key, values)
  for from = 1, #values, 2000 do redis.call(command, key, unpack(values, from, math.min(from + 1999, #values))) end
end

-- Whoever leaves a place and comes back to it is in it afterwards.
local function moves_write()
  for zset, jobs in pairs(leaving) do in_parts('ZREM', zset, jobs) end
  for zset, jobs in pairs(entering) do in_parts('ZADD', zset, jobs) end
  leaving, entering = {}, {}
end

local function counts_write()
  for key, fields in pairs(counts) do
    for field, by in pairs(fields) do redis.call('HINCRBY', key, field, by) end
  end
  counts = {}
end

local function words(value)
  if value and not string.find(value, ' ', 1, true) then return { value } end
  local list = {}
  for word in string.gmatch(value or '', '%S+') do list[#list + 1] = word end
  return list
end

-- note: adds one attempt (JSON text, one line) to the job's history, of which the last ones are kept.
local function note(job, attempt)
  if not job.log then
    job.log = attempt
    return
  end
  local lines = {}
  for line in string.gmatch(job.log, '[^\n]+') do lines[#lines + 1] = line end
  lines[#lines + 1] = attempt
  while #lines > LOG_KEPT do table.remove(lines, 1) end
  job.log = table.concat(lines, '\n')
end

-- open: a new generation of the order's job; wanted = {account, place, batches, deadline}, all text.
local function open(lane, id, before, wanted)
  local generation = (before and number(before.generation) or 0) + 1
  if before then redis.call('DEL', K.job(id)) end
  redis.call('HSET', K.job(id), 'state', 'queued', 'generation', generation, 'account', wanted.account,
    'attempts', 0, 'place', wanted.place, 'batches', wanted.batches, 'deadline', wanted.deadline)
  enter(K.ready(lane), wanted.place, id)
end
