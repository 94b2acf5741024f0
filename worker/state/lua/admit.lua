-- admit: takes one chunk of a batch's orders into their lanes.
--
-- Guarantee: each order of the chunk ends up in the batch exactly once, however often the chunk is given; it joins the
-- order's live job, opens its next generation, or is answered from the memory of an order known to be off the book.
-- The batch is sealed when all its orders are in. Other orders under a known batch id change nothing, nor does an
-- id that the account used on another shard before it was moved. Given again as urgent,
-- a batch is urgent from then on. A mass cancel's batch grows until `listing_end` seals it, and on hold each order has its own
-- time; an order of it that was seen open after it had ended goes again, unless it was rejected. Nothing of a chunk is taken
-- of which an order is asked for by too many batches: they are bounded by their deadlines, and otherwise by this.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch {id, digest, size, urgent, account, deadline_s, retention_s, meta {field: text}, several (whether
--          the runner has other shards)}, or of a mass cancel
--          {id, urgent, account, seen (µs after which the orders were open)},
--          orders {job [id], lane [lane], n [text], cl [text]}, column by column, since a table for each would cost as much as
--          all the rest of a reading; n = its number in the batch (left out of a mass cancel), cl = its client id (left out
--          if none has one)
-- return   JSON: {status ("ok" | "conflict"), new, joined, remembered, known, sealed, size, waiting, created (wall µs),
--          now (wall µs), lanes {lane: [queued, single used, batch used, µs for which it is held]}, paused [scope] (by operators)}
--          or {status ("ended": a mass cancel that takes no more)}
--          or {status ("elsewhere"), shard (the one that has the batch)}
--          or {status ("crowded"), order (the job for which too many batches wait)}
-- uses     base, window, board, rest, job, mover, finish, join, decision, batch

local input = cjson.decode(ARGV[1])
local batch, now, wall = input.batch, clock()
local key = K.batch(batch.id)
local count = { new = 0, joined = 0, remembered = 0, known = 0 }
local lanes, rows, waiting = {}, {}, 0
local ids, lane_of, numbers, client_ids = input.orders.job, input.orders.lane, input.orders.n or {}, input.orders.cl or {}

local function create()
  batch_create(batch, wall)
  audit({ event = 'submitted', by = batch.meta.requested_by, reason = batch.meta.reason, batch = batch.id,
    account = batch.account, facts = '{"size":' .. batch.size .. ',"urgent":' .. tostring(batch.urgent) ..
    ',"deadline_s":' .. batch.deadline_s .. ',"labels":' .. batch.meta.labels .. '}' }, wall, batch.retention_s)
end

local function paused_json()
  local scopes, parts = {}, {}
  for lane in pairs(lanes) do scopes[lane_scope(lane)], scopes[user_scope(user_of(lane))] = true, true end
  for scope in pairs(scopes) do
    if rest_paused(scope) then parts[#parts + 1] = cjson.encode(scope) end
  end
  return '[' .. table.concat(parts, ',') .. ']'
end

local function answer(status)
  local blocked = number(redis.call('HGET', K.clock(), 'blocked_until')) or 0
  local read = redis.call('HMGET', key, 'sealed', 'size', 'waiting', 'created')
  local parts = {}
  for lane in pairs(lanes) do
    local queued = redis.call('ZCARD', K.ready(lane)) + redis.call('ZCARD', K.later(lane))
    local held = number(redis.call('HGET', K.lane(lane), 'held')) or 0
    held = math.max(held < INF and held or 0, blocked) -- a pause has no end, and is told apart
    parts[#parts + 1] = cjson.encode(lane) .. ':[' .. queued .. ',' .. window_used(K.window(lane .. ':single'), now) .. ','
      .. batch_window_used(K.window(lane .. ':batch'), now) .. ',' .. text(math.max(0, held - now)) .. ']'
  end
  return '{"status":"' .. status .. '","new":' .. count.new .. ',"joined":' .. count.joined .. ',"remembered":' ..
    count.remembered .. ',"known":' .. count.known .. ',"sealed":' .. (read[1] == '1' and 'true' or 'false') ..
    ',"size":' .. read[2] .. ',"waiting":' .. read[3] .. ',"created":' .. read[4] .. ',"now":' .. text(wall) ..
    ',"lanes":{' .. table.concat(parts, ',') .. '},"paused":' .. paused_json() .. '}'
end

local read = redis.call('HMGET', key, 'digest', 'sealed', 'hold', 'deadline_s')
local digest, sealed, holds = read[1], read[2], read[3] == '1'

-- Which orders of the chunk are in the batch already, from an earlier call.
local function known()
  jobs_read(ids)
  return redis.call('HMGET', K.rows(batch.id), unpack(ids))
end

local known_rows, size = known(), redis.call('HLEN', K.rows(batch.id))

local ASKED_MOST = 1000

local function crowd(job)
  local following = job.next and cjson.decode(job.next)
  return math.max(#words(job.batches), following and #words(following.batches) or 0)
end

-- A mass cancel is asked for by people, not in a loop, and must not leave out an order.
local function crowded()
  if batch.seen then return end
  for index, id in ipairs(ids) do
    local job = not known_rows[index] and job_read(id)
    if job and job.live and crowd(job) >= ASKED_MOST then return id end
  end
end

-- One lookup for a new batch, here: no other shard is asked, since one that is away must not keep anybody's order waiting.
local function elsewhere()
  return batch.several and not digest and redis.call('HGET', K.elsewhere(), batch.account .. ' ' .. batch.id)
end

if batch.seen and sealed ~= '0' then return '{"status":"ended"}' end
local crowded_by = crowded()
if crowded_by then return '{"status":"crowded","order":' .. cjson.encode(crowded_by) .. '}' end
local stayed_on = elsewhere()
if stayed_on then return '{"status":"elsewhere","shard":' .. cjson.encode(stayed_on) .. '}' end
if not digest then create()
elseif not batch.seen and digest ~= batch.digest then return answer('conflict')
elseif batch.urgent then redis.call('HSET', key, 'urgent', '1') end

-- A batch that is completed later, after its producer was interrupted, has its time from then on.
if sealed ~= '1' and not batch.seen then batch_deadline(batch, now, wall) end
-- A hold has no end, so that its orders have theirs from when they were found.
if holds then batch_deadline({ id = batch.id, deadline_s = read[4] }, now, wall) end
local deadline = redis.call('HGET', key, 'deadline')
local asker = { batch = batch.id, account = batch.account, urgent = batch.urgent, deadline = deadline, asked = text(now) }
local base = redis.call('INCRBY', K.seq(), #ids) - #ids + (batch.urgent and 0 or URGENT_BELOW)
local handed_in = ' ' .. text(wall) .. ' '

local function place_of(index) return digits(base + index) end

local function waiting_row(index) return numbers[index] .. handed_in .. (client_ids[index] or '') end

local function add_row(index, row)
  rows[#rows + 1] = ids[index]
  rows[#rows + 1] = row
end

local function remember(index, job, result)
  add_row(index, row_json(waiting_row(index), result))
  tally(key, 'status:' .. job.state, 1)
  count.remembered = count.remembered + 1
end

local function admit(id, index)
  local job, lane = job_read(id), lane_of[index]
  local known = job and memory(asker, job, batch.seen)
  lanes[lane] = true
  if known then return remember(index, job, known) end
  add_row(index, waiting_row(index))
  waiting = waiting + 1
  if ask(asker, lane, id, job, place_of(index)) then count.joined = count.joined + 1
  else count.new = count.new + 1 end
end

-- hurry: an order that waits in the batch already goes to the front of the line if the batch is urgent by now.
local function hurry(id, index, row)
  local job = not row_ended(row) and job_read(id)
  if not job or not job.live then return end
  hasten(asker, lane_of[index], job, place_of(index))
  lanes[lane_of[index]] = true
end

-- A mass cancel saw the order open: if that was after it had ended, it goes again.
local function see_again(id, index, row)
  count.known = count.known + 1
  if not row_ended(row) then return hurry(id, index, row) end
  if DECIDED[cjson.decode(row).status] or ended_at(row) > batch.seen then return end
  lanes[lane_of[index]] = true
  ask_again(asker, lane_of[index], id, row, place_of(index), batch.seen)
end

local function admit_seen()
  local named = {} -- a page, or what several algo orders placed, may name an order twice
  for index, id in ipairs(ids) do
    local row = known_rows[index]
    if row then see_again(id, index, row)
    elseif not named[id] then
      named[id] = true
      numbers[index], size = text(size), size + 1
      admit(id, index)
    end
  end
  redis.call('HSET', key, 'size', size)
end

local function admit_all()
  for index, id in ipairs(ids) do
    local row = known_rows[index]
    if row then
      count.known = count.known + 1
      hurry(id, index, row)
    else admit(id, index) end
    lanes[lane_of[index]] = true
  end
end

if batch.seen then admit_seen() else admit_all() end
if waiting > 0 then tally(key, 'waiting', waiting) end
hset_all(K.rows(batch.id), rows)
write_out(wall)
for lane in pairs(lanes) do
  redis.call('ZADD', K.lanes(), text(now), lane)
  board(lane, now)
end
if not batch.seen and redis.call('HLEN', K.rows(batch.id)) == batch.size then redis.call('HSET', key, 'sealed', '1') end
if number(redis.call('HGET', key, 'waiting')) > 0 then
  redis.call('ZADD', K.deadlines(), holds and 'LT' or 'CH', deadline, batch.id) -- its first order's
  redis.call('PERSIST', key)
  redis.call('PERSIST', K.rows(batch.id))
else
  batch_close(batch.id, wall)
end
return answer('ok')
