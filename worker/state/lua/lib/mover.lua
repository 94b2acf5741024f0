-- The one mover: a live job is in exactly one zset, of its lane or its user, the one that its state names.
-- What moves is collected, and written by `write_out`: one command for each zset and counter.

local function unconfirmed_of(lane) return K.unconfirmed(uid_of(lane)) end

local ZSET = { queued = K.ready, retrying = K.later, sending = K.claimed, accepted = unconfirmed_of }

local zsets = { queued = {}, retrying = {}, sending = {}, accepted = {} }

-- zset_of: the key of the zset; nil for a state in which a job is in none.
local function zset_of(lane, state)
  local known = zsets[state]
  if known and not known[lane] then known[lane] = ZSET[state](lane) end
  return known and known[lane]
end

-- move: puts a live job into the zset that its state names now, with `score` (text).
local function move(lane, job, score) job.lane, job.score = lane, score end

-- job_end: takes a job out of its zset; of it is kept told.memory, for told.kept_s seconds (both text).
local function job_end(lane, job, told) job.lane, job.live, job.ended = lane, false, told end

-- The fields of jobs that are opened, by what they are to be and by generation.
local openings = {}

local function opened_for(wanted, generation)
  local known = collected(openings, wanted)
  known[generation] = known[generation] or common_of({ state = 'queued', generation = generation, attempts = 0,
    account = wanted.account, batches = wanted.batches, deadline = wanted.deadline, asked = wanted.asked,
    look_first = wanted.look_first })
  return known[generation]
end

-- open: a new generation of the order's job, `before` (or nil) being the last one; wanted = {account, batches, deadline,
-- asked and look_first (of a client id, see `join`)}, all text, the same table for all jobs that shall be alike.
local function open(lane, id, before, wanted, place)
  local generation = (before and before.generation or 0) + 1
  local kept = known_jobs[id] and known_jobs[id].kept
  local job = job_new(id, K.job(id), place, opened_for(wanted, generation), kept)
  known_jobs[id] = job
  move(lane, job, place)
  return job
end

-- moves_of: adds the job to those that leave a zset, {zset: ids}, and those that enter one, {zset: scores and ids}.
local function moves_of(job, leaving, entering)
  local from = job.kept and zset_of(job.lane, job.kept.fields.state)
  local to = job.live and zset_of(job.lane, job.state)
  if from and from ~= to then
    local ids = collected(leaving, from)
    ids[#ids + 1] = job.id
  end
  if to then
    local scored = collected(entering, to)
    scored[#scored + 1] = job.score
    scored[#scored + 1] = job.id
  end
end

local function moves_write(leaving, entering)
  for zset, ids in pairs(leaving) do in_chunks(ids, function(...) redis.call('ZREM', zset, ...) end) end
  for zset, scored in pairs(entering) do zadd_all(zset, scored) end
end

local function is_changed(job) return job and (job.lane or job.common ~= job.kept) end

local function jobs_write()
  local texts, leaving, entering = {}, {}, {}
  for _, job in pairs(known_jobs) do
    if is_changed(job) then
      if job.lane then moves_of(job, leaving, entering) end
      if job.live then
        texts[#texts + 1] = job.key
        texts[#texts + 1] = job_text(job)
      else redis.call('SET', job.key, job.ended.memory, 'EX', job.ended.kept_s) end
      job.kept, job.lane, job.score = job.common, nil, nil
    end
  end
  moves_write(leaving, entering)
  in_chunks(texts, function(...) redis.call('MSET', ...) end)
end

-- Counters that change, by key and field.
local counts = {}

-- tally: the counter grows by so much.
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
