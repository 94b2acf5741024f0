-- admit: takes one chunk of a batch's orders into their lanes.
--
-- Guarantee: each order of the chunk ends up in the batch exactly once, however often the chunk is given; it joins the
-- order's live job, opens its next generation, or is answered from the memory of an order known to be off the book.
-- The batch is sealed when all its orders are in. Other orders under a known batch id change nothing. A mass cancel's batch
-- grows until `listing_end` seals it; an order of it that was seen open after it had ended goes again, unless it was rejected.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch {id, digest, size, urgent, account, deadline_s, retention_s, meta {field: text}}, or of a mass cancel
--          {id, urgent, account, seen (wall µs after which the orders were open)},
--          orders [{job, lane, n, cl}], n = its number in the batch, as text (of a mass cancel: none)
-- return   JSON: {status ("ok" | "conflict"), new, joined, remembered, known, sealed, size, waiting, created (wall µs),
--          now (wall µs), lanes {lane: [queued, single used, batch used, µs for which it is held]}, paused [scope] (by operators)}
--          or {status ("ended": a mass cancel that takes no more)}
-- uses     base, window, board, rest, job, mover, finish, join, decision, batch

local input = cjson.decode(ARGV[1])
local batch, now, wall = input.batch, clock()
local key = K.batch(batch.id)
local count = { new = 0, joined = 0, remembered = 0, known = 0 }
local lanes, rows = {}, {}

local function create()
  batch_create(batch, wall)
  audit({ event = 'submitted', by = batch.meta.requested_by, reason = batch.meta.reason, batch = batch.id,
    account = batch.account, facts = '{"size":' .. batch.size .. ',"urgent":' .. tostring(batch.urgent) ..
    ',"deadline_s":' .. batch.deadline_s .. ',"labels":' .. batch.meta.labels .. '}' }, wall, batch.retention_s)
end

local function paused_json()
  local scopes, parts = {}, {}
  for lane in pairs(lanes) do scopes[lane_scope(lane)], scopes[user_scope(uid_of(lane))] = true, true end
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

local read = redis.call('HMGET', key, 'digest', 'sealed')
local digest, sealed = read[1], read[2]
if batch.seen and sealed ~= '0' then return '{"status":"ended"}' end
if not digest then create()
elseif not batch.seen and digest ~= batch.digest then return answer('conflict') end

-- A batch that is completed later, after its producer was interrupted, has its time from then on.
if sealed ~= '1' and not batch.seen then batch_deadline(batch, now, wall) end
local deadline = redis.call('HGET', key, 'deadline')
local asker = { batch = batch.id, account = batch.account, urgent = batch.urgent, deadline = deadline }
local base = redis.call('INCRBY', K.seq(), #input.orders) - #input.orders

local function place_of(index) return text(base + index + (batch.urgent and 0 or URGENT_BELOW)) end

local function waiting_row(order) return order.n .. ' ' .. text(wall) .. ' ' .. order.cl end

local function add_row(job, row)
  rows[#rows + 1] = job
  rows[#rows + 1] = row
end

local function wait_row(order)
  add_row(order.job, waiting_row(order))
  tally(key, 'waiting', 1)
end

local function remember(order, job, result)
  add_row(order.job, row_json(waiting_row(order), result))
  tally(key, 'status:' .. job.state, 1)
  count.remembered = count.remembered + 1
end

local function admit(order, index)
  local job = job_read(order.job)
  local known = memory(job, batch.seen)
  lanes[order.lane] = true
  if known then return remember(order, job, known) end
  wait_row(order)
  if ask(asker, order.lane, order.job, job, place_of(index)) then count.joined = count.joined + 1
  else count.new = count.new + 1 end
end

-- A mass cancel saw the order open: if that was after it had ended, it goes again.
local function see_again(order, row, index)
  count.known = count.known + 1
  local ended = row_ended(row) and cjson.decode(row)
  if not ended or DECIDED[ended.status] or ended.finished >= batch.seen then return end
  lanes[order.lane] = true
  ask_again(asker, order.lane, order.job, row, place_of(index), batch.seen)
end

-- Which orders of the chunk are in the batch already, from an earlier call.
local function known()
  local ids = column(input.orders, 'job')
  jobs_read(ids)
  return redis.call('HMGET', K.rows(batch.id), unpack(ids))
end

local known_rows, size = known(), redis.call('HLEN', K.rows(batch.id))

local function admit_seen()
  for index, order in ipairs(input.orders) do
    local row = known_rows[index]
    if row then see_again(order, row, index)
    else
      order.n, size = text(size), size + 1
      admit(order, index)
    end
  end
  redis.call('HSET', key, 'size', size)
end

local function admit_all()
  for index, order in ipairs(input.orders) do
    if known_rows[index] then count.known = count.known + 1 else admit(order, index) end
    lanes[order.lane] = true
  end
end

if batch.seen then admit_seen() else admit_all() end
hset_all(K.rows(batch.id), rows)
write_out(wall)
for lane in pairs(lanes) do
  redis.call('ZADD', K.lanes(), text(now), lane)
  board(lane, now)
end
if not batch.seen and redis.call('HLEN', K.rows(batch.id)) == batch.size then redis.call('HSET', key, 'sealed', '1') end
if number(redis.call('HGET', key, 'waiting')) > 0 then
  redis.call('ZADD', K.deadlines(), deadline, batch.id)
  redis.call('PERSIST', key)
  redis.call('PERSIST', K.rows(batch.id))
else
  batch_close(batch.id, wall)
end
return answer('ok')
