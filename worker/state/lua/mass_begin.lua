-- mass_begin: takes a mass cancel: a batch that grows by what its listings find, the first of which is due now.
--
-- Guarantee: given twice, it acts once; given again as urgent, it is urgent from then on. Another scope, or orders, under a
-- known batch id change nothing. A full Redis refuses it.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch {id, digest, size (0), urgent, account, deadline_s, retention_s, meta {field: text}}, uid,
--          scope (JSON text), since (the first version that can read it; "": all can), until_flat_us (0: one listing),
--          hold (it goes on until an operator lets go)
-- return   JSON: {status ("ok" | "conflict")}
-- uses     base, board, news, decision, batch

local input = cjson.decode(ARGV[1])
local batch, now, wall = input.batch, clock()
local SURVEY_US = 10000000
local digest = redis.call('HGET', K.batch(batch.id), 'digest')
if digest and digest ~= batch.digest then return '{"status":"conflict"}' end
if digest and batch.urgent then
  redis.call('HSET', K.batch(batch.id), 'urgent', '1')
  redis.call('HSET', K.mass(batch.id), 'urgent', '1')
end
if digest then return '{"status":"ok"}' end

batch_create(batch, wall)
batch_deadline(batch, now, wall)
redis.call('HSET', K.mass(batch.id), 'account', batch.account, 'uid', input.uid, 'scope', input.scope,
  'until_flat_us', text(input.until_flat_us), 'urgent', batch.urgent and '1' or '0',
  'state', 'running', 'started', text(wall),
  'deadline', text(now + batch.deadline_s * SECOND_US), 'deadline_wall', text(wall + batch.deadline_s * SECOND_US))
if input.since ~= '' then redis.call('HSET', K.mass(batch.id), 'since', input.since) end
if input.hold then redis.call('HSET', K.mass(batch.id), 'hold', '1') end
audit({ event = 'cancel_all', by = batch.meta.requested_by, reason = batch.meta.reason, batch = batch.id,
  account = batch.account, facts = '{"scope":' .. input.scope .. ',"until_flat_s":' .. input.until_flat_us / SECOND_US ..
  (input.hold and ',"hold":true' or '') .. ',"urgent":' .. tostring(batch.urgent) .. ',"deadline_s":' ..
  batch.deadline_s .. ',"labels":' .. batch.meta.labels .. '}' }, wall, batch.retention_s)
news_add('mass_cancel_began', batch.id, wall)
listing_due(batch.id, now)
survey_due(batch.id, now + SURVEY_US) -- whoever ends it may be of a version that knows no surveys
return '{"status":"ok"}'
