-- resume: ends pauses and rests of scopes; their lanes are due at once.
--
-- Guarantee: when this returns nothing of these scopes rests; lanes that waited for them are on the board and the bell rings.
-- The same step of a decision acts once and gets the same answer.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: decision (id, chosen by the caller), step, by, reason, scopes [scope], account (as asked for, or ""),
--          retention_s
-- return   JSON: {ended [{scope, by (who paused it, "": it rested by itself), reason, since (wall µs)}]}
-- uses     base, rest, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local given = decision_given(input)
if given then return given end
local now, wall = clock()
local ended = {}

local function resume(scope)
  local read = redis.call('HMGET', K.rest(scope), 'until', 'paused', 'reason', 'since')
  if not read[1] then return end
  ended[#ended + 1] = '{"scope":' .. cjson.encode(scope) .. ',"by":' .. cjson.encode(read[2] or '') .. ',"reason":' ..
    cjson.encode(read[3] or '') .. ',"since":' .. (read[4] or text(wall)) .. '}'
  rest_unpause(scope)
  rest_end(scope, now)
end

for _, scope in ipairs(input.scopes) do resume(scope) end
local answer = '{"ended":[' .. table.concat(ended, ',') .. ']}'
if #ended > 0 then
  audit({ event = 'resume', by = input.by, reason = input.reason, account = input.account, scope = input.scopes[1],
    decision = input.decision, facts = answer }, wall, input.retention_s)
end
return decision_answer(input, answer)
