-- Whether a commit whose answer was lost has happened. From here on it cannot happen any more.
--
-- KEYS  1 feed, 2 mark of a commit that must not happen any more
-- ARGV  1 id of the commit, 2 how long ago it may have happened (milliseconds), 3 how long the mark stays (seconds)
-- Gives 1 when it has happened, 0 when not, 2 when the feed does not reach back far enough to tell.
redis.call('SET', KEYS[2], '1', 'EX', ARGV[3])
local time = redis.call('TIME')
local since = time[1] * 1000 + time[2] / 1000 - tonumber(ARGV[2])
local from = '+'
while true do
  local entries = redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', 256)
  for _, entry in ipairs(entries) do
    if entry[2][2] == ARGV[1] then return 1 end
    if tonumber(string.match(entry[1], '^%d+')) < since then return 0 end
    from = '(' .. entry[1]
  end
  if #entries == 0 then
    -- What is shorter than it is ever cut to reaches back to its beginning.
    if redis.call('XLEN', KEYS[1]) < 4096 then return 0 end
    return 2
  end
end
