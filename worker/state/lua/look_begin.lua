-- look_begin: begins a look at a user's book: which jobs are unconfirmed, and who reads for them.
--
-- Guarantee: one look at a user at a time, until it is ended by `look_end` or its lease lapses; a lost one is looked for
-- again. Every job returned was believed off the book before `now`, so a listing that begins later can tell. While the
-- user's channel is heard, jobs are left to its pushes for `heard_us`.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: uid, look (id, chosen by the caller), exchange (scope), lease_us, heard_us, count (jobs at most)
-- return   JSON: {mine (false: another look is on, or nothing is to be done now), now (µs), jobs [[id, µs since when]]}
-- uses     base, lease, rest

despite_full_memory()
local input = cjson.decode(ARGV[1])
local uid, now = input.uid, clock()
local unconfirmed = K.unconfirmed(uid)

local function answer(mine, jobs)
  return '{"mine":' .. tostring(mine) .. ',"now":' .. text(now) .. ',"jobs":[' .. table.concat(jobs, ',') .. ']}'
end

if redis.call('ZCARD', unconfirmed) == 0 then
  redis.call('ZREM', K.looks(), uid)
  return answer(false, {})
end
local rest_ends = rest_until(input.exchange)
if rest_ends and rest_ends > now then
  redis.call('ZADD', K.looks(), text(rest_ends), uid)
  return answer(false, {})
end
local goes_on = redis.call('GET', K.looking(uid)) == input.look
local before = redis.call('GET', K.heard(uid)) and now - input.heard_us or now
local _, oldest_at = first(unconfirmed)
if oldest_at > before and not goes_on then
  redis.call('ZADD', K.looks(), text(oldest_at + input.heard_us), uid)
  return answer(false, {})
end
if not lease_take(K.looking(uid), input.look, input.lease_us / 1000) then return answer(false, {}) end
redis.call('ZADD', K.looks(), text(now + input.lease_us), uid)
local found = redis.call('ZRANGEBYSCORE', unconfirmed, '-inf', text(before), 'WITHSCORES', 'LIMIT', 0, input.count)
local jobs = {}
for index = 1, #found, 2 do jobs[#jobs + 1] = '[' .. cjson.encode(found[index]) .. ',' .. text(tonumber(found[index + 1])) .. ']' end
return answer(true, jobs)
