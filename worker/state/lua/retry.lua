-- retry: lets orders of a batch go again that ended as their caller says.
--
-- Guarantee: only rows that ended in one of `statuses` change; each waits for the order's live job, for a new generation
-- of it with no attempts, or is answered from the memory of an order known to be off the book. Nothing is done for a batch that is
-- unknown or not sealed. The same step of a decision acts once and gets the same answer. A full Redis refuses it.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: decision (id, chosen by the caller), step (its number), by, reason, batch, deadline_s, statuses [status],
--          jobs [{id, lane}], filter (JSON text of what chose these orders of the batch; "": all of them), retention_s
-- return   JSON: {status ("ok" | "unknown" | "unsealed"), opened, joined, remembered}
-- uses     base, board, finish, join, decision

local input = cjson.decode(ARGV[1])
local given = decision_given(input)
if given then return given end
local key = K.batch(input.batch)
local batch = redis.call('HMGET', key, 'sealed', 'account', 'urgent', 'deadline', 'completed', 'waiting')
local count = { opened = 0, joined = 0, remembered = 0 }

local function answer(status)
  return '{"status":"' .. status .. '","opened":' .. count.opened .. ',"joined":' .. count.joined .. ',"remembered":' ..
    count.remembered .. '}'
end

if not batch[1] then return answer('unknown') end
if batch[1] ~= '1' then return answer('unsealed') end

local now, wall = clock()
local ends = now + input.deadline_s * SECOND_US
local asker = { batch = input.batch, account = batch[2], urgent = batch[3] == '1', deadline = text(ends) }
local base = redis.call('INCRBY', K.seq(), #input.jobs) - #input.jobs
local wanted, lanes = {}, {}
for _, status in ipairs(input.statuses) do wanted[status] = true end

-- How the batch stood when it was complete: the story would lose it.
local function stood()
  if not batch[5] then return 'null' end
  local parts, read = {}, redis.call('HGETALL', key)
  for index = 1, #read, 2 do
    local status = string.match(read[index], '^status:(%a+)$')
    if status and read[index + 1] ~= '0' then parts[#parts + 1] = '"' .. status .. '":' .. read[index + 1] end
  end
  return '{"at":' .. batch[5] .. ',"counts":{' .. table.concat(parts, ',') .. '}}'
end

local before = stood()

local function retry(asked, index)
  local row = redis.call('HGET', K.rows(input.batch), asked.id)
  local ended = row and row_ended(row) and cjson.decode(row)
  if not ended or not wanted[ended.status] then return end
  local came = ask_again(asker, asked.lane, asked.id, row, text(base + index + (asker.urgent and 0 or URGENT_BELOW)))
  count[came] = count[came] + 1
  lanes[asked.lane] = true
end

-- A batch some of which still waits keeps the later deadline, and is looked at for its earlier one too.
local function reopen()
  local waits = (number(batch[6]) or 0) > 0
  local latest = waits and math.max(ends, number(batch[4]) or 0) or ends
  redis.call('HSET', key, 'deadline', text(latest), 'deadline_wall', text(latest - now + wall))
  redis.call('HDEL', key, 'completed')
  if redis.call('HGET', K.mass(input.batch), 'state') then
    redis.call('HDEL', K.mass(input.batch), 'survey') -- it was made before these orders end
    redis.call('HSET', K.mass(input.batch), 'deadline', text(latest))
    redis.call('PERSIST', K.mass(input.batch))
    survey_due(input.batch, latest)
  end
  redis.call('PERSIST', key)
  redis.call('PERSIST', K.rows(input.batch))
  redis.call('ZADD', K.deadlines(), 'LT', text(ends), input.batch)
end

for index, asked in ipairs(input.jobs) do retry(asked, index) end
local changed = count.opened + count.joined + count.remembered
if changed > 0 then reopen() end
write_out(wall)
for lane in pairs(lanes) do
  redis.call('ZADD', K.lanes(), text(now), lane)
  board(lane, now)
end
if changed > 0 then
  audit({ event = 'retry', by = input.by, reason = input.reason, batch = input.batch, account = asker.account,
    decision = input.decision, facts = with_filter('{"opened":' .. count.opened .. ',"joined":' .. count.joined ..
    ',"remembered":' .. count.remembered .. ',"deadline_s":' .. input.deadline_s .. ',"before":' .. before .. '}',
    input.filter) }, wall, input.retention_s)
end
return decision_answer(input, answer('ok'))
