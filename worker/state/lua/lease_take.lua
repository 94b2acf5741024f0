-- lease_take: lets one worker of all do a thing this time: the first that asks.
--
-- Guarantee: until its lease is over nobody else is told `mine`, nor is the same worker: whoever asks again because an answer
-- was lost has lost the turn with it. The sweep's holds whatever the wall clock does, and on a full Redis, too: what is past
-- its deadline must end. A full Redis refuses the others.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: lease ("asking" | "sweep" | "told" | "watch"), of (which of its kind; "": there is one), lease_us,
--          longest_us (somebody may have taken it for so long)
-- return   JSON: {mine}
-- uses     base, lease

local input = cjson.decode(ARGV[1])
local KEY = { asking = K.asking, told = K.told, watch = K.watch }
local SWEEP_KEPT_S = 60 -- longer than any lease: it ends by what is written in it

local function sweep_take(now)
  if not lease_over(redis.call('GET', K.sweep()), now) then return false end
  redis.call('SET', K.sweep(), text(now + input.lease_us), 'EX', SWEEP_KEPT_S)
  return true
end

local mine
if input.lease == 'sweep' then
  despite_full_memory()
  mine = sweep_take(clock())
else
  mine = lease_take_once(KEY[input.lease](input.of), input.lease_us / 1000, input.longest_us / 1000)
end
return '{"mine":' .. tostring(mine) .. '}'
