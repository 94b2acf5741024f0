-- What people decided: one entry of the audit stream with its effect, and the same answer when it is asked for again.

-- audit: told = {event, by, reason, batch, account, scope, decision, facts (JSON)}, all text.
local function audit(told, wall, retention)
  redis.call('XADD', K.audit(), 'MINID', '~', text(math.max(0, wall / 1000 - retention * 1000)), '*', 'at', text(wall),
    'event', told.event, 'by', told.by or '', 'reason', told.reason or '', 'batch', told.batch or '',
    'account', told.account or '', 'scope', told.scope or '', 'decision', told.decision or '', 'facts', told.facts or '{}')
end

-- given: what this step of the decision answered before, or nil.
local function decision_given(input)
  return redis.call('HGET', K.decision(input.decision), input.step) or nil
end

local function decision_answer(input, answer)
  redis.call('HSET', K.decision(input.decision), input.step, answer)
  redis.call('EXPIRE', K.decision(input.decision), 120)
  return answer
end
