-- What is counted for good, in the hash `totals`: how often, and how long things take.

-- Upper bounds of the histograms' parts, in µs; Python reads them from here (state/totals.py).
local BOUNDS_US = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 60000000 }

-- observe: `count` more that took so long.
local function observe(name, us, count)
  us = math.max(0, us)
  local part = 'inf'
  for _, bound in ipairs(BOUNDS_US) do
    if us <= bound then
      part = text(bound)
      break
    end
  end
  tally(K.totals(), name .. ':' .. part, count)
  tally(K.totals(), name .. ':sum', math.floor(us) * count)
end
