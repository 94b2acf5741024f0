-- pause: lets a lane, or all that one User ID sends, rest until somebody resumes it.
--
-- Guarantee: nothing more is granted there after this; no probe is given, and nothing else ends or shortens the pause. What
-- is in flight finishes. A scope that is paused already keeps its first pause. The same step of a decision acts once and
-- gets the same answer.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: decision (id, chosen by the caller), step, by, reason, scope ("user:<uid>" | "lane:<lane>"), account (as
--          asked for, or ""), facts (JSON text, kept with the decision), retention_s
-- return   JSON: {changed, by, reason, since (wall µs)} (of the pause that holds now)
-- uses     base, rest, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local given = decision_given(input)
if given then return given end
local _, wall = clock()
local changed = not rest_paused(input.scope)

if changed then
  rest_pause(input.scope, input.by, input.reason, wall)
  audit({ event = 'pause', by = input.by, reason = input.reason, account = input.account, scope = input.scope,
    decision = input.decision, facts = input.facts }, wall, input.retention_s)
end
local read = redis.call('HMGET', K.rest(input.scope), 'paused', 'reason', 'since')
return decision_answer(input, '{"changed":' .. tostring(changed) .. ',"by":' .. cjson.encode(read[1]) .. ',"reason":' ..
  cjson.encode(read[2]) .. ',"since":' .. read[3] .. '}')
