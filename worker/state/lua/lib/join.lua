-- How a batch comes to the job of an order: it joins the live one, or opens the order's next generation.
-- asker = {batch, account, urgent, deadline, asked (µs as text)}, for whom a waiting row is there already.
--
-- A client id may be used again for another order. Which one is meant is said by `asked`, when the order was handed in: one
-- that was placed later is another. So a client id is sent once; before it goes again, or at all if it had to wait for an
-- earlier effort (`look_first`), the book tells which order it means now.

-- ended_at: µs on the verbs' clock at which a result was written; 1.0 wrote its wall time alone.
local function ended_at(result)
  local at = number(string.match(result, '"clock":(%d+)'))
  return at or tonumber(string.match(result, '"finished":(%d+)')) + clock_us - wall_us
end

-- memory: how an order that the book has proved to be off it ended, or nil. One that was only unknown to the exchange is
-- asked for again: it may have been asked too early. A client id may be reused, so it is never answered from it. What was
-- told by another key or address may be of another order: it is not believed, either.
-- seen: µs at which the order was open, or nil; what was told before is then no longer believed.
local function memory(asker, job, seen)
  if not job or job.live or not by_order_id(job.id) or not PROVED[job.state] then return nil end
  asker.source = asker.source or redis.call('HGET', K.sources(), asker.account) or ''
  if job.source ~= asker.source then return nil end
  if seen and ended_at(job.result) <= seen then return nil end
  return job.result
end

-- wanted_by: what a job that is opened for the asker is to be; one table, so that all are alike. asked: nil of an ordId.
local function wanted_by(asker, asked)
  local known = asker.wanted or {}
  asker.wanted = known
  known[asked or ''] = known[asked or ''] or
    { account = asker.account, batches = asker.batch, deadline = asker.deadline, asked = asked }
  return known[asked or '']
end

-- join_next: a client id may be reused at the exchange: once its job was sent, the next batch that asks for it gets a send of
-- its own.
local function join_next(asker, job, place, asked)
  local following = job.next and cjson.decode(job.next) or with(wanted_by(asker, asked), { place = place })
  if job.next then
    following.asked = later_of(following.asked, asked)
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

local function join(asker, lane, job, place, asked)
  if asked and (job.attempts > 0 or job.sent) then return join_next(asker, job, place, asked) end
  change_alike(job, asker, joined_by, asker)
  if asked then change(job, { asked = later_of(job.asked, asked) }) end
  hasten(asker, lane, job, place)
end

-- ask: joins the job if it is live, else opens the generation after `job` (which may be nil). Returns whether it joined.
-- asked: when a client id was handed in, if that was not now.
local function ask(asker, lane, id, job, place, asked)
  local live = job and job.live
  asked = not by_order_id(id) and (asked or asker.asked) or nil
  if live then join(asker, lane, job, place, asked) else open(lane, id, job, wanted_by(asker, asked), place) end
  return live
end

-- history: the attempts of an ended row, as a job's log; each begins with its time.
local function history(row)
  return (string.gsub(string.match(row, '"log":%[(.*)%]') or '', '},{"at":', '}\n{"at":'))
end

local OF_A_ROW = { n = true, enqueued = true, clOrdId = true, status = true, sCode = true, sMsg = true, attempts = true,
  generation = true, first_sent = true, accepted = true, accFillSz = true, finished = true, clock = true, log = true,
  asked = true, ord = true, known = true, children = true }

-- waits_again: an ended row as one that waits, with what a later release may have kept in it.
local function waits_again(ended)
  local more
  for field, value in pairs(ended) do
    if not OF_A_ROW[field] then
      more = more or {}
      more[field] = value
    end
  end
  return ended.n .. ' ' .. text(ended.enqueued) .. ' ' .. ended.clOrdId .. (more and ' ' .. cjson.encode(more) or '')
end

-- asked_of: when an ended row of a client id was handed in, by the verbs' clock.
local function asked_of(ended) return text(ended.asked or ended.enqueued + clock_us - wall_us) end

-- ask_again: an ended row of the batch waits again, for the order's live job or for its next generation, or is answered
-- from memory. Returns "joined", "opened" or "remembered".
local function ask_again(asker, lane, id, row, place, seen)
  local ended, job = cjson.decode(row), job_read(id)
  redis.call('HSET', K.rows(asker.batch), id, waits_again(ended))
  tally(K.batch(asker.batch), 'waiting', 1)
  tally(K.batch(asker.batch), 'status:' .. ended.status, -1)
  if ended.known == false then tally(K.batch(asker.batch), 'never_known', -1) end
  if partly_filled(ended.status, ended.accFillSz) then tally(K.batch(asker.batch), 'partly_filled', -1) end
  local known = memory(asker, job, seen)
  if known then
    row_end(asker.batch, id, { counter = 'status:' .. job.state, result = known })
    return 'remembered'
  end
  -- the job may be forgotten while its row is kept
  local asked = asked_of(ended)
  if ask(asker, lane, id, job or { generation = ended.generation }, place, asked) then return 'joined' end
  change(job_read(id), { log = history(row), look_first = not by_order_id(id), ord = ended.ord })
  return 'opened'
end
