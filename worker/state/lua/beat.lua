-- beat: a worker says that it lives, and what others are to know of it.
--
-- Guarantee: one that has not said so for gone_s is no longer listed. A full Redis takes it, too. A format that is raised
-- later is one that the worker reads.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: worker, facts (JSON text of an object, which gets the wall clock's second as `at`), gone_s; name and known, the
--          same for the workers of all runners
-- return   JSON: {}
-- uses     base

despite_full_memory()
local input = cjson.decode(ARGV[1])
local _, wall = clock()
local at = math.floor(wall / SECOND_US)

local function beat(workers, name, facts)
  redis.call('HSET', workers, name, '{"at":' .. text(at) .. ',' .. string.sub(facts, 2))
  local gone, beats = {}, redis.call('HGETALL', workers)
  for index = 1, #beats, 2 do
    if at - (number(string.match(beats[index + 1], '"at": ?(%d+)')) or 0) > input.gone_s then gone[#gone + 1] = beats[index] end
  end
  in_chunks(gone, function(...) redis.call('HDEL', workers, ...) end)
end

beat(K.workers(), input.worker, input.facts)
beat(K.fleet(), input.name, input.known)
return '{}'
