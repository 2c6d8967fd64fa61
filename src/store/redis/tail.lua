-- The last entry of a feed; one that says nothing is made where there is none, so that there always is a place to go on from.
--
-- KEYS  1 feed
-- ARGV  1 id for a first entry
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('XADD', KEYS[1], '*', 'v', ARGV[1], 'k', '')
end
return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
