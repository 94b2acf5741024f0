-- adopt: declares that nobody has sent anything through another life of this Redis, so nothing need be waited for.
--
-- Guarantee: later claims wait only after a restart from now on. For whoever has just started an empty Redis.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: {} (no arguments)
-- return   JSON: {}
-- uses     base

despite_full_memory()
clock()
redis.call('HSET', K.clock(), 'run_id', run_id(), 'blocked_until', '0')
return '{}'
