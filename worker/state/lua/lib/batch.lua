-- How a batch begins: what was asked of it, before any of its orders.

-- create: batch = {id, digest, size, urgent, account, retention_s, meta {field: text}}.
local function batch_create(batch, wall)
  redis.call('HSET', K.batch(batch.id), 'digest', batch.digest, 'size', batch.size, 'created', text(wall), 'waiting', 0,
    'sealed', '0', 'account', batch.account, 'urgent', batch.urgent and '1' or '0', 'retention', batch.retention_s)
  for field, value in pairs(batch.meta) do redis.call('HSET', K.batch(batch.id), field, value) end
end

local function batch_deadline(batch, now, wall)
  redis.call('HSET', K.batch(batch.id), 'deadline', text(now + batch.deadline_s * 1000000),
    'deadline_wall', text(wall + batch.deadline_s * 1000000), 'deadline_s', batch.deadline_s)
end
