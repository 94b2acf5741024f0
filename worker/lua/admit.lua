-- admit: takes one chunk of a batch's orders into their lanes.
--
-- Guarantee: each order of the chunk ends up in the batch exactly once, however often the chunk is given; it joins the
-- order's live job, opens its next generation, or is answered from the memory of an order known to be off the book.
-- The batch is sealed when all its orders are in. Other orders under a known batch id change nothing.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch {id, digest, size, urgent, account, deadline_s, retention_s, meta {field: text}},
--          orders [{job, lane, n, cl}], n = its place in the batch
-- return   JSON: {status: "ok" | "conflict", new, joined, remembered, known, sealed, size, waiting, created (wall µs),
--          now (wall µs), lanes {lane: [queued, single used, batch used, held for µs]}}

local input = cjson.decode(ARGV[1])
local batch, now, wall = input.batch, clock()
local key = K.batch(batch.id)
local count = { new = 0, joined = 0, remembered = 0, known = 0 }
local lanes, rows = {}, {}

local function create()
  redis.call('HSET', key, 'digest', batch.digest, 'size', batch.size, 'created', text(wall), 'waiting', 0, 'sealed', '0',
    'account', batch.account, 'urgent', batch.urgent and '1' or '0', 'retention', batch.retention_s)
  for field, value in pairs(batch.meta) do redis.call('HSET', key, field, value) end
end

local function answer(status)
  local blocked = number(redis.call('HGET', K.clock(), 'blocked_until')) or 0
  local read = redis.call('HMGET', key, 'sealed', 'size', 'waiting', 'created')
  local parts = {}
  for lane in pairs(lanes) do
    local queued = redis.call('ZCARD', K.ready(lane)) + redis.call('ZCARD', K.later(lane))
    local held = math.max(number(redis.call('HGET', K.lane(lane), 'held')) or 0, blocked)
    parts[#parts + 1] = cjson.encode(lane) .. ':[' .. queued .. ',' .. window_used(K.window(lane .. ':single'), now) .. ','
      .. window_used(K.window(lane .. ':batch'), now) .. ',' .. text(math.max(0, held - now)) .. ']'
  end
  return '{"status":"' .. status .. '","new":' .. count.new .. ',"joined":' .. count.joined .. ',"remembered":' ..
    count.remembered .. ',"known":' .. count.known .. ',"sealed":' .. (read[1] == '1' and 'true' or 'false') ..
    ',"size":' .. read[2] .. ',"waiting":' .. read[3] .. ',"created":' .. read[4] .. ',"now":' .. text(wall) ..
    ',"lanes":{' .. table.concat(parts, ',') .. '}}'
end

local digest = redis.call('HGET', key, 'digest')
if not digest then create()
elseif digest ~= batch.digest then return answer('conflict') end

-- A batch that is completed later, after its producer was interrupted, has its time from then on.
if redis.call('HGET', key, 'sealed') == '0' then
  redis.call('HSET', key, 'deadline', text(now + batch.deadline_s * 1000000),
    'deadline_wall', text(wall + batch.deadline_s * 1000000))
end
local deadline = redis.call('HGET', key, 'deadline')
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

local function wanted(place) return { account = batch.account, place = place, batches = batch.id, deadline = deadline } end

-- A client id may be reused at the exchange: once its job was sent, whoever asks again gets a send of his own.
local function join_next(job, place)
  local following = job.next and cjson.decode(job.next) or wanted(place)
  if job.next then
    following.batches = following.batches .. ' ' .. batch.id
    following.deadline = text(math.max(tonumber(following.deadline), tonumber(deadline)))
    if tonumber(place) < tonumber(following.place) then following.place = place end
  end
  redis.call('HSET', K.job(job.id), 'next', cjson.encode(following))
end

local function hasten(lane, job, place)
  if not batch.urgent or tonumber(job.place) < URGENT_BELOW then return end
  redis.call('HSET', K.job(job.id), 'place', place)
  if job.state == 'queued' then move(lane, job, 'queued', tonumber(place)) end
end

local function join(lane, job, place, by_order_id)
  count.joined = count.joined + 1
  if not by_order_id and (job.attempts > 0 or job.sent) then return join_next(job, place) end
  redis.call('HSET', K.job(job.id), 'batches', job.batches .. ' ' .. batch.id,
    'deadline', text(math.max(job.deadline, tonumber(deadline))))
  hasten(lane, job, place)
end

local function take(order, index)
  local job = job_read(order.job)
  local by_order_id = string.match(order.job, '/o%d+$') ~= nil
  if job and not job.live and by_order_id and OFF_BOOK[job.state] then
    return remember(order, job, redis.call('HGET', K.job(order.job), 'result'))
  end
  wait_row(order)
  if job and job.live then return join(order.lane, job, place_of(index), by_order_id) end
  open(order.lane, order.job, job, wanted(place_of(index)))
  count.new = count.new + 1
end

-- Which orders of the chunk are in the batch already, from an earlier call.
local function known()
  local jobs = {}
  for index, order in ipairs(input.orders) do jobs[index] = order.job end
  return redis.call('HMGET', K.rows(batch.id), unpack(jobs))
end

local known_rows = known()
for index, order in ipairs(input.orders) do
  if known_rows[index] then count.known = count.known + 1 else take(order, index) end
  lanes[order.lane] = true
end
in_parts('HSET', K.rows(batch.id), rows)
write_out(wall)
for lane in pairs(lanes) do
  redis.call('ZADD', K.lanes(), text(now), lane)
  board(lane, now)
end
if redis.call('HLEN', K.rows(batch.id)) == batch.size then redis.call('HSET', key, 'sealed', '1') end
if number(redis.call('HGET', key, 'waiting')) > 0 then
  redis.call('ZADD', K.deadlines(), deadline, batch.id)
  redis.call('PERSIST', key)
  redis.call('PERSIST', K.rows(batch.id))
else
  batch_settle(batch.id, wall)
end
return answer('ok')
