-- How a batch begins: what was asked of it, before any of its orders.

-- batch_create: batch = {id, digest, size, urgent, account, retention_s, meta {field: text}}.
local function batch_create(batch, wall)
  redis.call('HSET', K.batch(batch.id), 'digest', batch.digest, 'size', batch.size, 'created', text(wall), 'waiting', 0,
    'sealed', '0', 'account', batch.account, 'urgent', batch.urgent and '1' or '0', 'retention', batch.retention_s)
  for field, value in pairs(batch.meta) do redis.call('HSET', K.batch(batch.id), field, value) end
end

-- batch_deadline: batch = {id, deadline_s}; by the verbs' clock, and by the wall clock for people.
local function batch_deadline(batch, now, wall)
  local left_us = batch.deadline_s * SECOND_US
  redis.call('HSET', K.batch(batch.id), 'deadline', text(now + left_us), 'deadline_wall', text(wall + left_us),
    'deadline_s', batch.deadline_s)
end
