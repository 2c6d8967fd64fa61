-- Removes records whose deadline is long past.
--
-- KEYS  1 deadlines; then for each record its key and its index
-- ARGV  1 the time (seconds) before which deadlines are long past, 2 how long that is (seconds); then for each record its
--       member among the deadlines and in the index
-- Gives how many were removed.

-- Both clocks must say so: one node's that is wrong must not remove what others need. 549755813888 is where seconds begin.
local past = math.min(tonumber(ARGV[1]), redis.call('TIME')[1] + 549755813888 - tonumber(ARGV[2]))
local removed = 0
for record = 1, (#KEYS - 1) / 2 do
  local key, index = KEYS[2 * record], KEYS[2 * record + 1]
  local head = redis.call('GETRANGE', key, 0, 19)
  local expired = true
  if #head == 20 then
    local high, low = struct.unpack('>I4I4', head, 9)
    expired = high * 4294967296 + low < past
  end
  -- Written anew since: then its new deadline stands there, too.
  if expired then
    redis.call('DEL', key)
    redis.call('ZREM', index, ARGV[2 * record + 2])
    redis.call('ZREM', KEYS[1], ARGV[2 * record + 1])
    removed = removed + 1
  end
end
return removed
