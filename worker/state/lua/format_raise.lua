-- format_raise: marks the next format of one kind of state, when every worker that lives reads it.
--
-- Guarantee: a mark grows by one and never shrinks, once for each format, with one entry in the audit; not while a worker
-- that has reported itself in the last gone_s reads only older ones. From then on no verb of a release that cannot read it acts.
-- Of the exchange's kind: what was granted under the old meaning must have ended before anything is granted under the new one.
-- The same step of a decision acts once and gets the same answer.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: decision (id, chosen by the caller), step, by, reason, kind ("exchange" | "runner"), mark (its field in
--          the key `formats`), to (format), gone_s, blackout_us, retention_s
-- return   JSON: {changed, format (marked now), blockers [worker] (that do not read it)}
-- uses     base, window, decision

despite_full_memory()
local input = cjson.decode(ARGV[1])
local given = decision_given(input)
if given then return given end
local now, wall = clock()
local before = number(redis.call('HGET', K.formats(), input.mark)) or 1
local blockers = {}

-- Release 1.0 says nothing of formats.
local function newest(beat) return beat.formats and beat.formats[input.kind][2] or 1 end

local function block_by(workers)
  local read = redis.call('HGETALL', workers)
  for index = 1, #read, 2 do
    local beat = cjson.decode(read[index + 1])
    if newest(beat) < input.to and math.floor(wall / SECOND_US) - beat.at <= input.gone_s then
      blockers[#blockers + 1] = cjson.encode(read[index])
    end
  end
end

local function answer(changed)
  local format = redis.call('HGET', K.formats(), input.mark) or '1'
  return '{"changed":' .. tostring(changed) .. ',"format":' .. format .. ',"blockers":[' .. table.concat(blockers, ',') .. ']}'
end

if before ~= input.to - 1 then return answer(false) end
block_by(K.workers())
if input.kind == 'exchange' then block_by(K.fleet()) end
if #blockers > 0 then return answer(false) end

redis.call('HSET', K.formats(), input.mark, input.to)
if input.kind == 'exchange' then blocked_for('format ' .. input.to .. ' begins', now, input.blackout_us) end
audit({ event = 'format', by = input.by, reason = input.reason, decision = input.decision, facts = '{"kind":"' ..
  input.kind .. '","from":' .. before .. ',"format":' .. input.to .. '}' }, wall, input.retention_s)
return decision_answer(input, answer(true))
