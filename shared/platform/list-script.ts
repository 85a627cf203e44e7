/**
 * An owner's list of tasks. What it filters by is kept of ended tasks beside the records too, close together: all that were
 * accepted in one minute are one hash, so that a page that looks at a thousand touches few places of Redis's memory.
 */

/** Tasks accepted in one stretch of time have their traits in one hash. */
export const traitsSpanMs = 60_000;

/** Where the traits of an owner's ended tasks are; the number of the minute follows. */
export function traitsKey(keyPrefix: string, owner: string): string {
  return `${keyPrefix}:traits:${owner}:`;
}

/**
 * Lua: `keepTraits(prefix, task key, id, owner, state, now, keep)`, what lists filter by, of a task that ends now as `state`.
 * Written once and never changed: an end is final. Each hash goes when the last of its records does.
 */
export const keepTraitsFunction = `
local function keepTraits(prefix, key, id, owner, state, now, keep)
  local task = redis.call('HMGET', key, 'createdAt', 'operation', 'system', 'tags')
  local place = prefix .. ':traits:' .. owner .. ':' .. math.floor(tonumber(task[1]) / ${traitsSpanMs})
  redis.call('HSET', place, id, table.concat({state, now + keep, task[2], task[3], task[4] or ''}, '\\n'))
  redis.call('PEXPIRE', place, keep)
end
`;

/**
 * One page of an owner's tasks, newest first. KEYS: owner's index. ARGV: key prefix, time and id of the last task shown
 * (empty: from the newest), accepted since, accepted until, most tasks shown, most rows looked at, then states joined by
 * commas, operation, system and tag (each empty: any), where the owner's traits are, now.
 * A task without traits is open, or ended when there were none: its record is looked at.
 * Returns {time, id, shown id …}: time and id are of the last row looked at, empty where nothing older is left.
 */
export const listScript = `
local prefix, cursorScore, cursorId = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local since, shownMax, lookedMax = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local states, operation, system, tag = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local now = tonumber(ARGV[13])
local at = redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[5], '+inf')
if cursorScore then
  local rank = redis.call('ZREVRANK', KEYS[1], cursorId)
  at = rank and rank + 1 or redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[2], '+inf')
end
-- The traits of rows, false where there are none; those of one minute by one command.
local function traitsOf(rows)
  local traits, from = {}, 1
  while from <= #rows do
    local minute, ids = math.floor(tonumber(rows[from + 1]) / ${traitsSpanMs}), {}
    while from <= #rows and math.floor(tonumber(rows[from + 1]) / ${traitsSpanMs}) == minute do
      ids[#ids + 1] = rows[from]
      from = from + 2
    end
    for _, found in ipairs(redis.call('HMGET', ARGV[12] .. minute, unpack(ids))) do traits[#traits + 1] = found end
  end
  return traits
end
-- State, operation, system and tags; no state where nothing is kept any more.
local function look(id, traits)
  if not traits then return unpack(redis.call('HMGET', prefix .. ':task:' .. id, 'state', 'operation', 'system', 'tags')) end
  local state, expiresAt, itsOperation, itsSystem, tags = string.match(traits, '^(.-)\\n(.-)\\n(.-)\\n(.-)\\n(.*)$')
  if tonumber(expiresAt) <= now then return false end
  return state, itsOperation, itsSystem, tags
end
local answer, looked = {'', ''}, 0
local lastScore, lastId
while true do
  local rows = redis.call('ZREVRANGE', KEYS[1], at, at + 99, 'WITHSCORES')
  if #rows == 0 then return answer end
  local traits = traitsOf(rows)
  for i = 1, #rows, 2 do
    local id, score = rows[i], tonumber(rows[i + 1])
    if score < since then return answer end
    if #answer - 2 >= shownMax or looked >= lookedMax then
      answer[1], answer[2] = lastScore, lastId
      return answer
    end
    looked = looked + 1
    lastScore, lastId = rows[i + 1], id
    -- Of tasks of the same millisecond those above the cursor were shown before.
    if not (cursorScore and score == cursorScore and id >= cursorId) then
      local state, itsOperation, itsSystem, tags = look(id, traits[(i + 1) / 2])
      local isShown = state
        and (states == '' or string.find(',' .. states .. ',', ',' .. state .. ',', 1, true))
        and (operation == '' or operation == itsOperation)
        and (system == '' or system == itsSystem)
        and (tag == '' or (tags and string.find(tags, ',' .. tag .. ',', 1, true)))
      if isShown then answer[#answer + 1] = id end
    end
  end
  at = at + #rows / 2
end
`;
