-- lease_take: lets one worker of all do a thing this time: the first that asks.
--
-- Guarantee: until its lease is over nobody else is told `mine`, nor is the same worker: whoever asks again because an answer
-- was lost has lost the turn with it. The sweep's holds whatever the wall clock does. A full Redis takes them, too: what is
-- past its deadline must end, and people must be told.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: lease ("asking" | "sweep" | "told" | "watch"), of (which of its kind; "": there is one), lease_us,
--          longest_us (somebody may have taken it for so long), renew (whether it lasts lease_us from now, whoever has it)
-- return   JSON: {mine}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local KEY = { asking = K.asking, told = K.told, watch = K.watch }
local SWEEP_KEPT_S = 60 -- longer than any lease: it ends by what is written in it

local function sweep_take(now)
  if not lease_over(redis.call('GET', K.sweep()), now) then return false end
  redis.call('SET', K.sweep(), text(now + input.lease_us), 'EX', SWEEP_KEPT_S)
  return true
end

local function take(key)
  local mine = lease_take_once(key, input.lease_us / 1000, input.longest_us / 1000)
  if not mine and input.renew then redis.call('PEXPIRE', key, input.lease_us / 1000) end
  return mine
end

local mine
if input.lease == 'sweep' then mine = sweep_take(clock()) else mine = take(KEY[input.lease](input.of)) end
return '{"mine":' .. tostring(mine) .. '}'
