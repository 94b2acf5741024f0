-- What is told of mass cancels, to people and to programs that stop trading: workers do so within a second.

local function news_add(event, mass, wall)
  redis.call('ZADD', K.mass_news(), text(wall), event .. ' ' .. mass)
  redis.call('ZREMRANGEBYSCORE', K.mass_news(), '-inf', text(wall - DAY_S * SECOND_US))
end
