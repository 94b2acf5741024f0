-- How a batch comes to the job of an order: it joins the live one, or opens the order's next generation.
-- asker = {batch, account, urgent, deadline (µs as text)}, for whom a waiting row is there already.

-- memory: how an order that the book has proved to be off it ended, or nil. One that was only unknown to the exchange is
-- asked for again: it may have been asked with another key, or too early. A client id may be reused, so it is never
-- answered from it.
-- seen: wall µs at which the order was open, or nil; what was told before is then no longer believed.
local function memory(job, seen)
  if not job or job.live or not by_order_id(job.id) or not PROVED[job.state] then return nil end
  if seen and tonumber(string.match(job.result, '"finished":(%d+)')) < seen then return nil end
  return job.result
end

-- wanted_by: what a job that is opened for the asker is to be; one table, so that all are alike.
local function wanted_by(asker)
  asker.wanted = asker.wanted or { account = asker.account, batches = asker.batch, deadline = asker.deadline }
  return asker.wanted
end

-- join_next: a client id may be reused at the exchange: once its job was sent, the next batch that asks for it gets a send of
-- its own.
local function join_next(asker, job, place)
  local following = job.next and cjson.decode(job.next) or with(wanted_by(asker), { place = place })
  if job.next then
    following.batches = following.batches .. ' ' .. asker.batch
    following.deadline = text(math.max(tonumber(following.deadline), tonumber(asker.deadline)))
    if tonumber(place) < tonumber(following.place) then following.place = place end
  end
  change(job, { next = cjson.encode(following) })
end

local function joined_by(fields, asker)
  return { batches = fields.batches .. ' ' .. asker.batch,
    deadline = text(math.max(tonumber(fields.deadline), tonumber(asker.deadline))) }
end

-- hasten: an urgent batch takes the job along to the front of the line.
local function hasten(asker, lane, job, place)
  if not asker.urgent or tonumber(job.place) < URGENT_BELOW then return end
  job.place = place
  if job.state == 'queued' then move(lane, job, place) end
end

local function join(asker, lane, job, place)
  if not by_order_id(job.id) and (job.attempts > 0 or job.sent) then return join_next(asker, job, place) end
  change_alike(job, asker, joined_by, asker)
  hasten(asker, lane, job, place)
end

-- ask: joins the job if it is live, else opens the generation after `job` (which may be nil). Returns whether it joined.
local function ask(asker, lane, id, job, place)
  local live = job and job.live
  if live then join(asker, lane, job, place) else open(lane, id, job, wanted_by(asker), place) end
  return live
end

-- history: the attempts of an ended row, as a job's log; each begins with its time.
local function history(row)
  return (string.gsub(string.match(row, '"log":%[(.*)%]') or '', '},{"at":', '}\n{"at":'))
end

-- ask_again: an ended row of the batch waits again, for the order's live job or for its next generation, or is answered
-- from memory. Returns "joined", "opened" or "remembered".
local function ask_again(asker, lane, id, row, place, seen)
  local ended, job = cjson.decode(row), job_read(id)
  redis.call('HSET', K.rows(asker.batch), id, ended.n .. ' ' .. text(ended.enqueued) .. ' ' .. ended.clOrdId)
  tally(K.batch(asker.batch), 'waiting', 1)
  tally(K.batch(asker.batch), 'status:' .. ended.status, -1)
  local known = memory(job, seen)
  if known then
    row_end(asker.batch, id, { counter = 'status:' .. job.state, result = known })
    return 'remembered'
  end
  -- the job may be forgotten while its row is kept
  if ask(asker, lane, id, job or { generation = ended.generation }, place) then return 'joined' end
  change(job_read(id), { log = history(row) })
  return 'opened'
end
