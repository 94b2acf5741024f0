-- channel_lease: takes, keeps or gives back the private channels of users; one worker listens to each.
--
-- Guarantee: a channel is taken only when nobody has it, and kept or given back only by who does. A worker that ends
-- without a word is replaced once its lease lapses. Given twice, it changes nothing more.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: worker, uids, lease_ms (0: give back)
-- return   JSON: {held [uid], next_ms (until a lease of somebody else ends, -1: there is none)}
-- uses     base, lease

despite_full_memory()
local input = cjson.decode(ARGV[1])
local held, next_ms = {}, -1

local function wait_for(key)
  local left_ms = redis.call('PTTL', key)
  if left_ms >= 0 and (next_ms < 0 or left_ms < next_ms) then next_ms = left_ms end
end

for _, uid in ipairs(input.uids) do
  local key = K.witness(uid)
  if input.lease_ms == 0 then
    if not lease_end(key, input.worker) then wait_for(key) end
  elseif lease_take(key, input.worker, input.lease_ms) then held[#held + 1] = cjson.encode(uid)
  else wait_for(key) end
end
return '{"held":[' .. table.concat(held, ',') .. '],"next_ms":' .. text(next_ms) .. '}'
