-- What every verb needs: exact numbers as text, the one clock, lists and how they are written in bulk.

local INF = 9e15 -- later than any µs, and below 2^53: still exact

local SECOND_US = 1000000

local DAY_S = 86400

-- What a caller may ask for again, because the answer was lost, is kept so long; it asks within seconds, if at all.
local ANSWER_KEPT_S = 120

-- digits: an integer as text; above 1e14 it loses some when Lua concatenates or cjson encodes it.
local function digits(number) return string.format('%d', number) end

local texts = {}

-- text: the same of numbers that come again and again.
local function text(number)
  local known = texts[number]
  if not known then
    known = digits(number)
    texts[number] = known
  end
  return known
end

local quotes = {}

-- quoted: a string as JSON; the same few codes and names come again and again.
local function quoted(value)
  local known = quotes[value]
  if not known then
    known = cjson.encode(value)
    quotes[value] = known
  end
  return known
end

local function number(value) return value and tonumber(value) or nil end

-- uid_of(lane): whose lane it is, with the mark of algo orders.
local function uid_of(lane) return string.match(lane, '^[^/]+') end

-- user_of(lane): the same without the mark: who is paused.
local function user_of(lane) return string.match(lane, '^([^/:]+)') end

local clock_us, wall_us = 0, 0
-- clock: returns µs that never run backwards (a step back is absorbed in a stored skew), and µs as the server shows them.
local function clock()
  local time = redis.call('TIME')
  local wall = time[1] * SECOND_US + time[2]
  local saved = redis.call('HMGET', K.clock(), 'last', 'skew')
  local last, skew = number(saved[1]) or 0, number(saved[2]) or 0
  local now = wall + skew
  if now < last then
    now = last
    redis.call('HSET', K.clock(), 'skew', text(last - wall))
  end
  redis.call('HSET', K.clock(), 'last', text(now))
  clock_us, wall_us = now, wall
  return now, wall
end

-- run_id: which life of this Redis answers; another one after every restart.
local function run_id() return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') end

-- stream_min: the smallest id of a stream's entries that are kept; ids begin with the wall clock's ms.
local function stream_min(wall, retention) return text(math.max(0, wall / 1000 - retention * 1000)) end

-- first(zset): member and score of its smallest element, or nil.
local function first(zset)
  local found = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  return found[1], number(found[2])
end

-- despite_full_memory: a full Redis refuses scripts until their first write, and takes all writes after it; this write is
-- always taken and changes nothing. For verbs without which what was admitted could not end.
local function despite_full_memory() redis.call('ZREM', K.board(), '') end

-- column: one field of each in the list.
local function column(list, field)
  local values = {}
  for index, each in ipairs(list) do values[index] = each[field] end
  return values
end

-- collected: the list in `into` for this key, made when it is first asked for.
local function collected(into, key)
  local list = into[key]
  if not list then
    list = {}
    into[key] = list
  end
  return list
end

-- Lua unpacks no more than some 8,000 values at once. Even: they come in pairs as a rule.
local UNPACKED = 2000

-- in_chunks: calls with all values, in their order, UNPACKED at a time.
local function in_chunks(values, call)
  for from = 1, #values, UNPACKED do call(unpack(values, from, math.min(from + UNPACKED - 1, #values))) end
end

-- Redis keeps a small hash or zset as a list that it searches for each name (…-max-ziplist-entries, 512 and 128). A name
-- above …-max-ziplist-value (64) makes it a table for good: worth its while from some dozen names on.
local LONG = string.rep('-', 65)
local MANY = 32

-- zadd_all: scored = {score, member, score, member, …}
local function zadd_all(zset, scored)
  if #scored >= MANY then redis.call('ZADD', zset, 0, LONG) end
  in_chunks(scored, function(...) redis.call('ZADD', zset, ...) end)
  if #scored >= MANY then redis.call('ZREM', zset, LONG) end
end

-- hset_all: values = {field, value, field, value, …}
local function hset_all(hash, values)
  if #values >= MANY then redis.call('HSET', hash, LONG, '') end
  in_chunks(values, function(...) redis.call('HSET', hash, ...) end)
  if #values >= MANY then redis.call('HDEL', hash, LONG) end
end
