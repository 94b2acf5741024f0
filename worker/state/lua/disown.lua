-- disown: people give a User ID up on this Redis, so that another one of the runner may have it.
--
-- Guarantee: only while its accounts are paused here, which lasts, and after no worker has served it here for as long as it
-- stays registered: whoever stood still all the while sends nothing when he wakes. Its accounts are no longer published
-- here. One entry in the audit. The same decision acts once and gets the same answer. A full Redis takes it, too.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: decision (id, chosen by the caller), step, by, reason, user (its address and User ID at the exchange), scope
--          ("user:<uid>"), account (as asked for), accounts [name], retention_s
-- return   JSON: {answer ("given up" | "not paused" | "served" | "not owned")}
-- uses     base, rest, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local given = decision_given(input)
if given then return given end
local _, wall = clock()

local answer = 'given up'
if not redis.call('HGET', K.owners(), input.user) then answer = 'not owned'
elseif not rest_paused(input.scope) then answer = 'not paused'
elseif redis.call('GET', K.user(input.user)) then answer = 'served' end

if answer == 'given up' then
  redis.call('HDEL', K.owners(), input.user)
  for _, name in ipairs(input.accounts) do redis.call('HDEL', K.accounts(), name) end
  audit({ event = 'disown', by = input.by, reason = input.reason, account = input.account, scope = input.scope,
    decision = input.decision, facts = cjson.encode({ user = input.user }) }, wall, input.retention_s)
end
return decision_answer(input, '{"answer":"' .. answer .. '"}')
