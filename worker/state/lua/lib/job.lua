-- What a job is: its place in line, and fields that it mostly has in common with its neighbours.
-- Redis keeps of a live job the text '<place> <fields as JSON>'; of an ended one JSON alone: it has no place any more.
--
-- Jobs are read and changed by the dozen, and most of a dozen are alike. So alike jobs share one table of fields, which is
-- read, changed and written once for all of them. A job's fields are read as its own (job.state); they are set by `change`
-- or `change_alike`, never by assignment. A job's own are:
--   id, key, place, live   which one it is; `place` may be assigned, and is written with the next change
--   common, kept           its fields, and those that Redis has (nil: none); they differ until `write_out`
--   lane, score            set by `move`, until `write_out`: it goes where its state belongs
--   lane, ended            set by `job_end`: it goes nowhere, and `ended.memory` is what is kept of it

-- by_order_id: the job names its order by the exchange's id; a client id may be used again.
local function by_order_id(job) return string.find(job, '^[^/]*/[^/]*/o%d+$') ~= nil end

-- Jobs by id as this script has left them; false: there is none.
local known_jobs = {}

-- common_of: the fields of jobs that are alike; `after` has those that they changed into, by the cause.
local function common_of(fields) return { fields = fields, after = {}, reads = { __index = fields } } end

local function take_on(job, common)
  job.common = common
  setmetatable(job, common.reads)
end

local known_texts = {}

local function common_in(fields)
  local common = known_texts[fields]
  if not common then
    common = common_of(cjson.decode(fields))
    known_texts[fields] = common
  end
  return common
end

local function common_text(common)
  if not common.text then common.text = cjson.encode(common.fields) end
  return common.text
end

-- job_new: kept = what Redis has of the job, or nil.
local function job_new(id, key, place, common, kept)
  return setmetatable({ id = id, key = key, place = place, live = place ~= nil, common = common, kept = kept }, common.reads)
end

-- job_of: written = the text that Redis has of the job.
local function job_of(id, key, written)
  local place, from = string.match(written, '^(%d+) ()')
  local common = common_in(from and string.sub(written, from) or written)
  return job_new(id, key, place, common, common)
end

local function job_text(job) return job.place .. ' ' .. common_text(job.common) end

-- unread_of: those of which this script knows nothing yet, and their keys.
local function unread_of(ids)
  local unread, keys = {}, {}
  for _, id in ipairs(ids) do
    if known_jobs[id] == nil then
      known_jobs[id] = false
      unread[#unread + 1] = id
      keys[#keys + 1] = K.job(id)
    end
  end
  return unread, keys
end

-- jobs_read: all at once, for many cost little more than one.
local function jobs_read(ids)
  local unread, keys = unread_of(ids)
  local at = 0
  in_chunks(keys, function(...)
    for _, written in ipairs(redis.call('MGET', ...)) do
      at = at + 1
      if written then known_jobs[unread[at]] = job_of(unread[at], keys[at], written) end
    end
  end)
end

-- job_read: one job, or nil.
local function job_read(id)
  if known_jobs[id] == nil then jobs_read({ id }) end
  return known_jobs[id] or nil
end

-- with: the fields with those of `new` (false: without it).
local function with(fields, new)
  local all = {}
  for field, value in pairs(fields) do all[field] = value end
  for field, value in pairs(new) do all[field] = value or nil end
  return all
end

-- change: sets fields of one job; false takes one away.
local function change(job, new) take_on(job, common_of(with(job.common.fields, new))) end

-- change_alike: sets the fields that new(fields, ...) returns, which is called once for all jobs that are alike and change
-- for the same cause. So the cause (any value, such as the call's id) has to stand for `new` and all that it is given.
local function change_alike(job, cause, new, ...)
  local after = job.common.after
  if not after[cause] then after[cause] = common_of(with(job.common.fields, new(job.common.fields, ...))) end
  take_on(job, after[cause])
end

-- believing: new fields of a job that waits for the book's word, with what is believed until then.
local function believing(new, status, code, message)
  new.state, new.call, new.looks, new.unknown, new.unread = 'accepted', false, false, false, false
  new.believed, new.code, new.message = status, code, message
  return new
end

-- pushed: how a push told that the order ended, or nil; of a client id only the ordId, which the job has learned or a
-- cancel's answer told (`ord`), says whose word it is.
local function pushed(job, ord)
  local told = job.told and cjson.decode(job.told)
  return told and (by_order_id(job.id) or (job.ord or ord) == told.ord) and told or nil
end

-- later_of: of two µs as text; either may be missing.
local function later_of(one, other)
  if not (one and other) then return one or other end
  return text(math.max(tonumber(one), tonumber(other)))
end

-- words: those of a text in which blanks part them; none of nil.
local function words(value)
  if value and not string.find(value, ' ', 1, true) then return { value } end
  local list = {}
  for word in string.gmatch(value or '', '%S+') do list[#list + 1] = word end
  return list
end

-- others_of: the batches but this one, as a list.
local function others_of(batches, batch)
  local others = {}
  for _, each in ipairs(words(batches)) do
    if each ~= batch then others[#others + 1] = each end
  end
  return others
end

-- An order may be tried as often as its deadline allows; its text is read and written at each attempt.
local LOG_KEPT = 10

-- noted: a job's history with one more attempt (JSON text, one line); the last ones are kept.
local function noted(log, attempt)
  if not log then return attempt end
  local lines = {}
  for line in string.gmatch(log, '[^\n]+') do lines[#lines + 1] = line end
  lines[#lines + 1] = attempt
  while #lines > LOG_KEPT do table.remove(lines, 1) end
  return table.concat(lines, '\n')
end
