-- Checks and writes of one batch, all or nothing.
--
-- KEYS  1 feed, 2 deadlines, 3 mark of a commit that must not happen any more, 4 index; then the key of each check; then
--       the key of each write
-- ARGV  1 id of the commit, 2 and 3 now (seconds, nanoseconds), 4 what the feed shall say, 5 and 6 channel and partition,
--       7 number of checks, 8 scope; then for each check the version, or nothing for absence; then for each write member
--       of the index, deadline (nothing for a delete) and value
-- Gives 1 when applied, 0 when a check did not hold, 2 when marked.
--
-- Errors that depend on the state of the server (OOM, READONLY, NOREPLICAS, MISCONF) are raised by the first write or not at
-- all, so a script that fails has changed nothing.
if redis.call('EXISTS', KEYS[3]) == 1 then return 2 end

local id, seconds, nanos = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local checks, scope = tonumber(ARGV[7]), ARGV[8]

for check = 1, checks do
  local head = redis.call('GETRANGE', KEYS[4 + check], 0, 19)
  local live = false
  if #head == 20 then
    local high, low, fraction = struct.unpack('>I4I4I4', head, 9)
    local deadline = high * 4294967296 + low
    live = seconds < deadline or (seconds == deadline and nanos < fraction)
  end
  local version = ARGV[8 + check]
  if version == '' then
    if live then return 0 end
  elseif not live or string.sub(head, 1, 8) ~= version then
    return 0
  end
end

local writes = #KEYS - 4 - checks
for write = 1, writes do
  local key, at = KEYS[4 + checks + write], 8 + checks + (write - 1) * 3
  local member, deadline = ARGV[at + 1], ARGV[at + 2]
  if deadline == '' then
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[4], member)
    redis.call('ZREM', KEYS[2], scope .. member)
  else
    redis.call('SET', key, id .. deadline .. ARGV[at + 3])
    redis.call('ZADD', KEYS[4], 0, member)
    local high, low = struct.unpack('>I4I4', deadline)
    if high == 4294967295 then
      redis.call('ZREM', KEYS[2], scope .. member)
    else
      redis.call('ZADD', KEYS[2], string.format('%.0f', high * 4294967296 + low), scope .. member)
    end
  end
end
if writes > 0 then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', '4096', '*', 'v', id, 'k', ARGV[4])
  -- Who may not call out has committed all the same.
  redis.pcall('PUBLISH', ARGV[5], ARGV[6])
end
return 1
