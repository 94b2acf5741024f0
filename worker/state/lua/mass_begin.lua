-- mass_begin: takes a mass cancel: a batch that grows by what its listings find, the first of which is due now.
--
-- Guarantee: given twice, it acts once. Another scope, or orders, under a known batch id change nothing. A full Redis refuses it.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: batch {id, digest, size (0), urgent, account, deadline_s, retention_s, meta {field: text}}, uid,
--          scope (JSON text), until_flat_us (0: one listing)
-- return   JSON: {status ("ok" | "conflict")}
-- uses     base, board, decision, batch

local input = cjson.decode(ARGV[1])
local batch, now, wall = input.batch, clock()
local digest = redis.call('HGET', K.batch(batch.id), 'digest')
if digest then return '{"status":"' .. (digest == batch.digest and 'ok' or 'conflict') .. '"}' end

batch_create(batch, wall)
batch_deadline(batch, now, wall)
redis.call('HSET', K.mass(batch.id), 'account', batch.account, 'uid', input.uid, 'scope', input.scope,
  'until_flat_us', text(input.until_flat_us), 'urgent', batch.urgent and '1' or '0',
  'state', 'running', 'started', text(wall),
  'deadline', text(now + batch.deadline_s * SECOND_US), 'deadline_wall', text(wall + batch.deadline_s * SECOND_US))
audit({ event = 'cancel_all', by = batch.meta.requested_by, reason = batch.meta.reason, batch = batch.id,
  account = batch.account, facts = '{"scope":' .. input.scope .. ',"until_flat_s":' .. input.until_flat_us / SECOND_US ..
  ',"urgent":' .. tostring(batch.urgent) .. ',"deadline_s":' .. batch.deadline_s .. ',"labels":' ..
  batch.meta.labels .. '}' }, wall, batch.retention_s)
listing_due(batch.id, now)
return '{"status":"ok"}'
