-- listing_begin: begins a listing for a mass cancel, or goes on with it: given again by its id it renews the lease.
--
-- Guarantee: one listing of a mass cancel at a time, until it is ended by `listing_end` or its lease lapses; then another one
-- begins. Whatever a page shows that is asked for later was open at `wall` or after.
--
-- KEYS[1]  the runner's prefix
-- ARGV[1]  JSON: mass (its batch), listing (id, chosen by the caller), lease_us, fields {field: text} (kept with the mass
--          cancel if the listing is the caller's)
-- return   JSON: {mine (true), now (µs), wall (µs), left (µs to its deadline), waiting
--          (orders of it that have no end yet), mass {field: text}}
--          or {mine (false: it ended, or another listing is on)}
-- uses     base, lease, board

despite_full_memory()
local input = cjson.decode(ARGV[1])
local now, wall = clock()
local key = K.mass(input.mass)
local mine = { mine = false }

if redis.call('HGET', key, 'state') ~= 'running' then
  listing_never(input.mass)
  return cjson.encode(mine)
end
if not lease_take(K.listing(input.mass), input.listing, input.lease_us / 1000) then return cjson.encode(mine) end
for field, value in pairs(input.fields) do redis.call('HSET', key, field, value) end
redis.call('ZADD', masses_of(input.mass), text(now + input.lease_us), input.mass)

local fields, read = {}, redis.call('HGETALL', key)
for index = 1, #read, 2 do fields[read[index]] = read[index + 1] end
local waiting = number(redis.call('HGET', K.batch(input.mass), 'waiting')) or 0
return '{"mine":true,"now":' .. text(now) .. ',"wall":' .. text(wall) .. ',"left":' ..
  text(tonumber(fields.deadline) - now) .. ',"waiting":' .. text(waiting) .. ',"mass":' .. cjson.encode(fields) .. '}'
