/** The scripts by which a worker reads records before it begins. They write nothing, so Redis answers without a sync of its file. */

/** Lua: `peek(prefix, id)` is {admitted 1|0, field, value …} of a task, or an empty list where there is none. */
export const peekFunction = `
local function peek(prefix, id)
  local fields = redis.call('HGETALL', prefix .. ':task:' .. id)
  if #fields == 0 then return fields end
  local queue, owner
  for i = 1, #fields, 2 do
    if fields[i] == 'queue' then queue = fields[i + 1] elseif fields[i] == 'owner' then owner = fields[i + 1] end
  end
  local place = queue .. ':' .. owner
  local isAdmitted = redis.call('SISMEMBER', prefix .. ':admitted:' .. place, id) == 1
    or redis.call('SISMEMBER', prefix .. ':aside:' .. place, id) == 1
  table.insert(fields, 1, isAdmitted and 1 or 0)
  return fields
end`;

/** What a worker reads before it begins. KEYS: task. ARGV: key prefix, id. Returns what `peek` does. */
export const peekScript = `${peekFunction}
return peek(ARGV[1], ARGV[2])
`;

/**
 * The same of every task in the queue entries that will be taken next. KEYS: BullMQ's list of waiting entries, of which the
 * last is the first to be taken. ARGV: key prefix, prefix of the queue's entries, most entries, most tasks of
 * several entries together. Returns of each {its name, its data, peeked task …}.
 */
export const lookAheadScript = `${peekFunction}
local entries = redis.call('LRANGE', KEYS[1], -tonumber(ARGV[3]), -1)
local answer, count = {}, 0
for i = #entries, 1, -1 do
  local data = redis.call('HGET', ARGV[2] .. entries[i], 'data')
  if not data then return answer end
  local seen, tickets = {entries[i], data}, cjson.decode(data).tasks
  count = count + #tickets
  if #answer > 0 and count > tonumber(ARGV[4]) then return answer end
  for _, ticket in ipairs(tickets) do seen[#seen + 1] = peek(ARGV[1], ticket.id) end
  answer[#answer + 1] = seen
end
return answer
`;

/**
 * Behind the taking of an entry: BullMQ has set the marker that wakes a worker for the next one; where there is none it is
 * taken back, for nobody need look. Whoever adds an entry sets it again. KEYS: BullMQ's waiting and prioritised entries,
 * delayed ones, marker. Returns 1 where nothing is left to take now or later, else 0.
 */
export const tidyMarkerScript = `
if redis.call('LLEN', KEYS[1]) > 0 or redis.call('ZCARD', KEYS[2]) > 0 then return 0 end
redis.call('ZREM', KEYS[4], '0')
return redis.call('ZCARD', KEYS[3]) == 0 and 1 or 0
`;
