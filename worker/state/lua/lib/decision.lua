-- What people decided: one entry of the audit stream with its effect, and the same answer when it is asked for again.

-- audit: entry = {event, by, reason, batch, account, scope, decision, facts (JSON)}, all text.
local function audit(entry, wall, retention)
  redis.call('XADD', K.audit(), 'MINID', '~', stream_min(wall, retention), '*', 'at', text(wall),
    'event', entry.event, 'by', entry.by or '', 'reason', entry.reason or '', 'batch', entry.batch or '',
    'account', entry.account or '', 'scope', entry.scope or '', 'decision', entry.decision or '', 'facts', entry.facts or '{}')
end

-- with_filter: the facts (JSON of an object) with the filter (JSON, '' if none) by which the orders were chosen.
local function with_filter(facts, filter)
  return filter == '' and facts or string.sub(facts, 1, -2) .. ',"filter":' .. filter .. '}'
end

-- decision_given: what this step of the decision answered before, or nil.
local function decision_given(input)
  return redis.call('HGET', K.decision(input.decision), input.step) or nil
end

-- decision_answer: remembers it, and returns it.
local function decision_answer(input, answer)
  redis.call('HSET', K.decision(input.decision), input.step, answer)
  redis.call('EXPIRE', K.decision(input.decision), ANSWER_KEPT_S)
  return answer
end
