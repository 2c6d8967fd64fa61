-- A page of records in key order, without those that have expired.
--
-- KEYS  1 index
-- ARGV  1 and 2 the range of members, 3 how many, 4 and 5 now (seconds, nanoseconds), 6 what record keys begin with
-- Gives member, value, member, value...
--
-- Records are reached by names that are not in KEYS: they are in the slot of the index. Where one is missing, the slot is on
-- its way to another node.
local from, limit = ARGV[1], tonumber(ARGV[3])
local seconds, nanos = tonumber(ARGV[4]), tonumber(ARGV[5])
local page, found = {}, 0
while found < limit do
  local members = redis.call('ZRANGEBYLEX', KEYS[1], from, ARGV[2], 'LIMIT', 0, limit)
  if #members == 0 then break end
  for _, member in ipairs(members) do
    local value = redis.pcall('GET', ARGV[6] .. member)
    if type(value) ~= 'string' then
      return redis.error_reply('TRYAGAIN a record is missing from its slot')
    end
    local high, low, fraction = struct.unpack('>I4I4I4', value, 9)
    local deadline = high * 4294967296 + low
    if seconds < deadline or (seconds == deadline and nanos < fraction) then
      found = found + 1
      page[2 * found - 1] = member
      page[2 * found] = value
      if found == limit then break end
    end
  end
  from = '(' .. members[#members]
end
return page
