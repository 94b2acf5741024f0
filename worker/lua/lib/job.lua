-- The one mover: a live job is in exactly one place of its lane, the one that its state names.

local function unconfirmed(lane) return K.unconfirmed(uid_of(lane)) end

-- by_order_id: the job names its order by the exchange's id; a client id may be used again.
local function by_order_id(job) return string.match(job, '/o%d+$') ~= nil end

local PLACE = { queued = K.ready, retrying = K.later, sending = K.claimed, accepted = unconfirmed }
local OFF_BOOK = { canceled = true, filled = true, gone = true }
local LOG_KEPT = 10

local places = { queued = {}, retrying = {}, sending = {}, accepted = {} }

-- place_of: the zset of the lane's jobs in that state, or nil: an ended job is in none.
local function place_of(lane, state)
  local known = places[state]
  if known and not known[lane] then known[lane] = PLACE[state](lane) end
  return known and known[lane]
end

-- What this script knows of jobs, and what of it `write_out` has to write: one command for each place, counter and kind
-- of change costs a fraction of one for each job.
local jobs, changed, moves, counts = {}, {}, {}, {}

-- Lua can unpack some thousands of values at once.
local function in_parts(values, call)
  for from = 1, #values, 2000 do call(unpack(values, from, math.min(from + 1999, #values))) end
end

-- A job's text is a JSON object of texts: cjson would round long numbers.
local function job_of(id, key, written)
  local job = cjson.decode(written)
  job.id, job.key = id, key
  job.attempts = number(job.attempts)
  job.live = job.place ~= nil and PLACE[job.state] ~= nil -- an ended job has no place in line
  return job
end

local function job_text(job)
  local id, key, live, attempts = job.id, job.key, job.live, job.attempts
  job.id, job.key, job.live, job.attempts = nil, nil, nil, text(attempts)
  local written = cjson.encode(job)
  job.id, job.key, job.live, job.attempts = id, key, live, attempts
  return written
end

-- read: the jobs are known from now on; many at once cost little more than one.
local function jobs_read(ids)
  local keys, unread = {}, {}
  for _, id in ipairs(ids) do
    if jobs[id] == nil then
      jobs[id] = false
      unread[#unread + 1] = id
      keys[#keys + 1] = K.job(id)
    end
  end
  local found = {}
  in_parts(keys, function(...)
    for _, written in ipairs(redis.call('MGET', ...)) do found[#found + 1] = written end
  end)
  for index, id in ipairs(unread) do
    if found[index] then jobs[id] = job_of(id, keys[index], found[index]) end
  end
end

-- job_read: the job as this script last left it, or nil.
local function job_read(id)
  if jobs[id] == nil then jobs_read({ id }) end
  return jobs[id] or nil
end

-- change: whoever sets fields of a job says so.
local function change(job) changed[job.id] = job end

local function collected(into, key)
  local list = into[key]
  if not list then
    list = {}
    into[key] = list
  end
  return list
end

local function tally(key, field, by)
  local fields = collected(counts, key)
  fields[field] = (fields[field] or 0) + by
end

local function move_to(lane, job, place, score)
  local moved = moves[job.id]
  if not moved then
    moved = { from = place_of(lane, job.state) }
    moves[job.id] = moved
  end
  moved.to, moved.score = place, score
  changed[job.id] = job
end

-- move: takes a live job out of its place and puts it into that of `state`, with `score` (a number, or its text).
local function move(lane, job, state, score)
  move_to(lane, job, place_of(lane, state), type(score) == 'number' and text(score) or score)
  job.state = state
end

-- job_end: takes a live job out of its place; `memory` (text) is kept of it for `retention` seconds.
local function job_end(lane, job, state, memory, retention)
  move_to(lane, job, nil)
  job.state, job.live, job.memory, job.retention = state, false, memory, retention
end

-- Redis keeps a small zset as a list and searches it for each member; a long one makes it a skip list for good.
local LONG = string.rep('-', 65)
local MANY = 32

local function enter(place, scored)
  if #scored >= MANY then redis.call('ZADD', place, 0, LONG) end
  in_parts(scored, function(...) redis.call('ZADD', place, ...) end)
  if #scored >= MANY then redis.call('ZREM', place, LONG) end
end

local function moves_write()
  local leaving, entering = {}, {}
  for id, moved in pairs(moves) do
    if moved.from and moved.from ~= moved.to then
      local list = collected(leaving, moved.from)
      list[#list + 1] = id
    end
    if moved.to then
      local list = collected(entering, moved.to)
      list[#list + 1] = moved.score
      list[#list + 1] = id
    end
  end
  for place, ids in pairs(leaving) do in_parts(ids, function(...) redis.call('ZREM', place, ...) end) end
  for place, scored in pairs(entering) do enter(place, scored) end
  moves = {}
end

local function jobs_write()
  local live = {}
  for _, job in pairs(changed) do
    if job.live then
      live[#live + 1] = job.key
      live[#live + 1] = job_text(job)
    else redis.call('SET', job.key, job.memory, 'EX', job.retention) end
  end
  in_parts(live, function(...) redis.call('MSET', ...) end)
  changed = {}
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

-- open: a new generation of the order's job; wanted = {account, place, batches, deadline}, all text. Returns it.
local function open(lane, id, before, wanted)
  local generation = (before and number(before.generation) or 0) + 1
  local job = { id = id, key = K.job(id), live = true, state = 'queued', generation = text(generation), attempts = 0,
    account = wanted.account, place = wanted.place, batches = wanted.batches, deadline = wanted.deadline }
  jobs[id] = job
  move_to(lane, job, place_of(lane, 'queued'), wanted.place)
  return job
end
