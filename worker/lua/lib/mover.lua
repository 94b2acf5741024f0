-- The one mover: a live job is in exactly one place of its lane, the one that its state names.
-- What moves is collected, and written by `write_out`: one command for each place and counter.

local function unconfirmed(lane) return K.unconfirmed(uid_of(lane)) end

local PLACE = { queued = K.ready, retrying = K.later, sending = K.claimed, accepted = unconfirmed }

local zsets = { queued = {}, retrying = {}, sending = {}, accepted = {} }

local function zset_of(lane, state)
  local known = zsets[state]
  if not known[lane] then known[lane] = PLACE[state](lane) end
  return known[lane]
end

-- move: puts a live job into the place of the lane that its state names now, with `score` (text).
local function move(lane, job, score)
  job.lane, job.score = lane, score
  changed[job.id] = job
end

-- job_end: takes a job out of its place; `memory` (text) is kept of it for `retention` seconds.
local function job_end(lane, job, memory, retention)
  job.lane, job.live, job.memory, job.retention = lane, false, memory, retention
  changed[job.id] = job
end

local opened = {}

local function opened_for(wanted, generation)
  local known = opened[wanted] or {}
  opened[wanted] = known
  known[generation] = known[generation] or common_of({ state = 'queued', generation = generation, attempts = 0,
    account = wanted.account, batches = wanted.batches, deadline = wanted.deadline })
  return known[generation]
end

-- open: a new generation of the order's job, `before` (or nil) being the last one; wanted = {account, batches, deadline},
-- all text, the same table for all jobs that shall be alike.
local function open(lane, id, before, wanted, place)
  local generation = (before and before.generation or 0) + 1
  local job = job_new(id, K.job(id), place, opened_for(wanted, generation))
  job.was = jobs[id] and jobs[id].was
  jobs[id] = job
  move(lane, job, place)
  return job
end

local function collected(into, key)
  local list = into[key]
  if not list then
    list = {}
    into[key] = list
  end
  return list
end

local function moves_write()
  local leaving, entering = {}, {}
  for id, job in pairs(changed) do
    local from = job.lane and job.was and zset_of(job.lane, job.was)
    local to = job.score and job.live and zset_of(job.lane, job.state)
    if from and from ~= to then
      local list = collected(leaving, from)
      list[#list + 1] = id
    end
    if to then
      local list = collected(entering, to)
      list[#list + 1] = job.score
      list[#list + 1] = id
    end
    job.was, job.lane, job.score = job.live and job.state, nil, nil
  end
  for zset, ids in pairs(leaving) do in_parts(ids, function(...) redis.call('ZREM', zset, ...) end) end
  for zset, scored in pairs(entering) do zadd_all(zset, scored) end
end

local function jobs_write()
  local live = {}
  for _, job in pairs(changed) do
    if job.live then
      live[#live + 1] = job.key
      live[#live + 1] = job_text(job)
    else redis.call('SET', job.key, job.memory, 'EX', text(job.retention)) end
  end
  in_parts(live, function(...) redis.call('MSET', ...) end)
  changed = {}
end

-- Counters that change, by key and field.
local counts = {}

local function tally(key, field, by)
  local fields = collected(counts, key)
  fields[field] = (fields[field] or 0) + by
end

local function counts_write()
  for key, fields in pairs(counts) do
    for field, by in pairs(fields) do redis.call('HINCRBY', key, field, by) end
  end
  counts = {}
end
