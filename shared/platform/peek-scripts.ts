/** The scripts by which a worker reads records before it begins. They write nothing, so Redis answers without a sync of its file. */

/** Lua: `peek(prefix, id)` is {admitted 1|0, field, value …} of a task, or an empty list where there is none. */
const peekFunction = `
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
 * The same of every task in the queue entry that was taken last. KEYS: BullMQ's list of active entries, whose first is
 * that one. ARGV: key prefix, prefix of the queue's entries. Returns {name of the entry, peeked task …}, or an empty
 * list. Tasks that a worker claims before it looks at them are left out.
 */
export const peekTakenScript = `${peekFunction}
local entry = redis.call('LINDEX', KEYS[1], 0)
if not entry then return {} end
local data = redis.call('HGET', ARGV[2] .. entry, 'data')
if not data then return {} end
local answer = {entry}
for _, ticket in ipairs(cjson.decode(data).tasks) do
  if not ticket.isMutation then answer[#answer + 1] = peek(ARGV[1], ticket.id) end
end
return answer
`;
