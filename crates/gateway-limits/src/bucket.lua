-- Counts a request. KEYS[1] holds when one was counted last, and how long it took from then until all that was
-- taken had flowed back, in microseconds; it expires when it has. ARGV: what one takes, and how much there is.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local debt = 0
local kept = redis.call('GET', KEYS[1])
if kept then
    local at, owed = string.match(kept, '^(%d+) (%d+%.%d+)$')
    -- A clock that was put back is no reason to let nobody through.
    if at then debt = math.min(window, math.max(0, owed - math.max(0, now - at))) end
end
local more = debt + interval
-- Sums of fractions may be off by less than the clock can tell.
if more > window + 0.5 then return {1, math.floor(debt)} end
redis.call('SET', KEYS[1], string.format('%.0f %.6f', now, more), 'PX', math.ceil(more / 1000) + 1)
return {0, math.floor(more)}
