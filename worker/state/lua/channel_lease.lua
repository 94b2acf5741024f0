-- channel_lease: takes, keeps or gives back the private channels of users; each is attended by one worker.
--
-- Guarantee: a channel is taken only when nobody attends it, and kept or given back only by who does. A worker that ends
-- without a word is replaced once its lease lapses. Given twice, it changes nothing more.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: worker, uids, lease_ms (0: give back)
-- return   JSON: {held [uid that this worker attends], next_ms (until a lease of somebody else ends, -1: there is none)}

despite_full_memory()
local input = cjson.decode(ARGV[1])
local held, next_ms = {}, -1
local longest_ms = input.lease_ms > 0 and input.lease_ms or INF

for _, uid in ipairs(input.uids) do
  local key = K.witness(uid)
  local other = holder(key, longest_ms)
  if other and other ~= input.worker then
    local left_ms = redis.call('PTTL', key)
    if next_ms < 0 or left_ms < next_ms then next_ms = left_ms end
  elseif input.lease_ms > 0 then
    redis.call('SET', key, input.worker, 'PX', text(input.lease_ms))
    held[#held + 1] = cjson.encode(uid)
  else
    redis.call('DEL', key)
  end
end
return '{"held":[' .. table.concat(held, ',') .. '],"next_ms":' .. text(next_ms) .. '}'
