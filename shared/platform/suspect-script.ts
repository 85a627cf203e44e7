/**
 * Which open tasks of a queue are to be looked after: those whose entry is not there, whose time is over, or whose cancel
 * was asked for. Of the others, which may be very many, nothing leaves Redis. Writes nothing.
 */

/**
 * KEYS: open tasks of the queue. ARGV: key prefix, queue, what comes before the name of an entry, accepted before, offset, most rows
 * looked at, now. Returns {rows looked at, id …}.
 */
export const suspectScript = `
local prefix, queue, entries, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[7])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'LIMIT', ARGV[5], ARGV[6])
local answer = {#ids}
for _, id in ipairs(ids) do
  local task = redis.call('HMGET', prefix .. ':task:' .. id, 'state', 'fence', 'entryId', 'owner', 'cancel', 'deadlineAt')
  local state, entry = task[1], task[3]
  if not entry or entry == '' then entry = id .. '.' .. (task[2] or '') end
  local isWell = false
  -- A record that is not as it should be is left to the closer look.
  local deadline = tonumber(task[6] or '') or 0
  if state == 'active' then
    isWell = redis.call('EXISTS', entries .. entry) == 1
  elseif state == 'pending' and task[4] and not task[5] and now < deadline then
    -- It waits for the end of another task of its owner, or its entry carries it.
    isWell = redis.call('ZSCORE', prefix .. ':waiting:' .. queue .. ':' .. task[4], id)
      or redis.call('EXISTS', entries .. entry) == 1
  end
  if not isWell then answer[#answer + 1] = id end
end
return answer
`;
