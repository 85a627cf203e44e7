/**
 * The two Lua scripts through which every task is written. Redis runs a script alone and whole, so a task, its place
 * in the indexes and its idempotency key change together or not at all.
 */
import { legalTransitions } from '../tasks/states.ts';
import { emitFunction } from './event-script.ts';
import { keepTraitsFunction } from './list-script.ts';
import { nextStepFunction } from './step-script.ts';

/** Largest result that the message of a task's end carries along, so that the API need not read the record for it. */
export const repliedBytesMax = 4_096;

/**
 * So much room for open tasks must be left for a read to be told before it is stored: for that moment it is still open, and where
 * there is little room it could keep out what its client sends next.
 */
const toldFirstRoomMin = 32;

/** The table of legal transitions as a Lua table, so that there is one table only. */
function luaTransitions(): string {
  const rows = Object.entries(legalTransitions).map(
    ([from, to]) => `${from}={${to.map((state) => `${state}=true`).join(',')}}`,
  );
  return `{${rows.join(',')}}`;
}

/** Lua: lets the owner's next tasks through while there is room, and adds id and fence of each to `answer`. */
const promoteFunction = `
local function promote(prefix, place, max, answer)
  local admittedKey = prefix .. ':admitted:' .. place
  while redis.call('SCARD', admittedKey) < max do
    local next = redis.call('ZPOPMIN', prefix .. ':waiting:' .. place)
    if not next[1] then return end
    local key = prefix .. ':task:' .. next[1]
    local nextFence = redis.call('HGET', key, 'fence')
    if nextFence then
      redis.call('SADD', admittedKey, next[1])
      redis.call('HSET', key, 'entryId', next[1] .. '.' .. nextFence .. '.p')
      answer[#answer + 1] = next[1]
      answer[#answer + 1] = nextFence
    end
  end
end
`;

/** Lua: takes a task out of the places of its owner's in a queue. */
const leaveFunction = `
local function leave(prefix, queue, place, id)
  redis.call('ZREM', prefix .. ':open:' .. queue, id)
  redis.call('SREM', prefix .. ':admitted:' .. place, id)
  redis.call('SREM', prefix .. ':aside:' .. place, id)
  redis.call('ZREM', prefix .. ':waiting:' .. place, id)
  redis.call('ZREM', prefix .. ':later:' .. place, id)
end
`;

/**
 * Accepts a task. KEYS: task, owner's index, open, waiting, admitted, idempotency key, aside, later, names of queues,
 * rate.  * ARGV: id, now, open-per-queue bound, open-per-user bound, admitted bound, indexed (1|0), idempotency fingerprint
 * (empty: no key), index horizon (older index rows are dropped), place among the waiting, not to begin before (empty:
 * at once), queue, milliseconds in which the owner may submit one more (empty: no limit), most at once, open-per-system bound (empty: runs on no system), keys of the open tasks
 * of the system's lanes, by line feeds, a task that ended without what its idempotency key was sent for (empty: none) and gives
 * that key up, then field, value …
 * A task that must not begin yet stands in `later`, and takes no place from others.
 * Returns {admitted 1|0, id} | {'replay', id} | {'mismatch', id} | {'queue-full'} | {'system-full'} |
 * {'user-full'} |
 * {'rate', ms to wait, ms until the bucket is full}. Of an accepted task the last is told too, where there is a limit.
 */
export const acceptScript = `
${emitFunction}
local id, now = ARGV[1], tonumber(ARGV[2])
if ARGV[7] ~= '' then
  local known = redis.call('GET', KEYS[6])
  if known then
    local cut = string.find(known, ' ', 1, true)
    local knownId = string.sub(known, 1, cut - 1)
    if string.sub(known, cut + 1) ~= ARGV[7] then return {'mismatch', knownId} end
    if knownId ~= ARGV[16] then return {'replay', knownId} end
  end
end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[3]) then return {'queue-full'} end
local openThere = 0
if ARGV[14] ~= '' then
  for key in string.gmatch(ARGV[15], '[^\\n]+') do openThere = openThere + redis.call('ZCARD', key) end
  if openThere >= tonumber(ARGV[14]) then return {'system-full'} end
end
local admitted = redis.call('SCARD', KEYS[5])
local open = admitted + redis.call('ZCARD', KEYS[4]) + redis.call('SCARD', KEYS[7]) + redis.call('ZCARD', KEYS[8])
if open >= tonumber(ARGV[4]) then return {'user-full'} end
local untilFull = ''
if ARGV[12] ~= '' then
  local interval, time = tonumber(ARGV[12]), redis.call('TIME')
  local clock = time[1] * 1000 + math.floor(time[2] / 1000)
  local before = math.max(tonumber(redis.call('GET', KEYS[10]) or '0'), clock)
  local over = before + interval - clock - interval * tonumber(ARGV[13])
  -- Less than a millisecond is rounding.
  if over >= 1 then return {'rate', math.ceil(over), math.ceil(before - clock)} end
  untilFull = math.ceil(before + interval - clock)
  redis.call('SET', KEYS[10], string.format('%.3f', before + interval), 'PX', untilFull)
end
redis.call('HSET', KEYS[1], 'id', id, 'state', 'pending', 'attempt', 0, 'fence', 0, 'createdAt', now, unpack(ARGV, 17))
-- A read that nobody but its request knows of, and that no repeat can join.
if ARGV[6] ~= '1' and ARGV[7] == '' then
  local room = math.min(tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[3]), tonumber(ARGV[4]) - open)
  if ARGV[14] ~= '' then room = math.min(room, tonumber(ARGV[14]) - openThere) end
  if room >= ${toldFirstRoomMin} then redis.call('HSET', KEYS[1], 'isToldFirst', '1') end
end
redis.call('ZADD', KEYS[3], now, id)
redis.call('SADD', KEYS[9], ARGV[11])
if ARGV[6] == '1' then
  redis.call('ZADD', KEYS[2], now, id)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[8])
  redis.call('PEXPIRE', KEYS[2], now - tonumber(ARGV[8]))
end
if ARGV[7] ~= '' then redis.call('SET', KEYS[6], id .. ' ' .. ARGV[7]) end
if ARGV[6] == '1' then emit(string.sub(KEYS[1], 1, -1 - #':task:' - #id), KEYS[1], id, 'accepted', now) end
if ARGV[10] ~= '' then
  redis.call('ZADD', KEYS[8], ARGV[10], id)
  return {0, id, untilFull}
end
if admitted < tonumber(ARGV[5]) then
  redis.call('SADD', KEYS[5], id)
  return {1, id, untilFull}
end
redis.call('ZADD', KEYS[4], ARGV[9], id)
return {0, id, untilFull}
`;

/**
 * Moves a task to another state, or writes fields within its state. KEYS: task. ARGV: key prefix, id, to (empty: stay),
 * expected fence (empty: any), ticket's fence for a claim (empty: no claim), now, admitted bound, the queue entry that
 * claims, whether it may take over whatever entry claimed before (1|0), when the work began, the claim's own id, the key of the
 * entry's lock and what must stand there (both empty: it is not looked at), then field, value … (at least one pair). A claim may go straight to an end: the task was taken at the time given and has ended now.
 * The claim of a parked task goes on with the attempt that parked it and adds no step to its timeline.
 * An active task is taken over by its own entry only, which BullMQ delivers again when a worker died. A finished task
 * is kept for the `keepMs` in its record. Returns {'gone'} | {'stale', state} | {'illegal', state} |
 * {'superseded', state} | {'waiting', state} | {'untaken', state} | {'ok', from, …}, where `…` is the whole hash for a claim. For an end it is a
 * queue, a number, and id and fence of each promoted task: so many of the task's own queue, the others of the one named, in
 * which the next step of a chain has come to stand. A step that ends well is no end of its task.
 */
export const transitionScript = `
${emitFunction}${promoteFunction}${leaveFunction}${nextStepFunction}${keepTraitsFunction}
local legal = ${luaTransitions()}
local prefix, id, to, fence, entryFence = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local now = tonumber(ARGV[6])
local task = redis.call('HMGET', KEYS[1], 'state', 'fence', 'attempt', 'queue', 'owner', 'replyTo', 'idem', 'timeline', 'keepMs', 'entryId', 'claimId', 'admittedMax', 'notBeforeAt', 'cancel', 'emits', 'step', 'stepsCount', 'token')
local state = task[1]
local admittedMax = tonumber(task[12] or ARGV[7])
local isParked = task[13] and task[13] ~= ''
if not state then return {'gone'} end
if fence ~= '' and fence ~= task[2] then return {'stale', state} end
-- The connection was lost before the answer to this very claim came, and the claim was sent again.
if to == 'active' and state == 'active' and ARGV[11] ~= '' and task[11] == ARGV[11] then
  local again = redis.call('HGETALL', KEYS[1])
  table.insert(again, 1, 'pending')
  table.insert(again, 1, 'ok')
  return again
end
if ARGV[12] ~= '' and redis.call('GET', ARGV[12]) ~= ARGV[13] then return {'untaken', state} end
if entryFence ~= '' then
  local known, mine = tonumber(task[2]), tonumber(entryFence)
  local isMine = (state == 'pending' and known == mine) or (state == 'active' and known == mine + 1 and (ARGV[9] == '1' or task[10] == ARGV[8]))
  if not isMine then return {'superseded', state} end
  local place = task[4] .. ':' .. task[5]
  local admitted = prefix .. ':admitted:' .. place
  local isAdmitted = redis.call('SISMEMBER', admitted, id) == 1
    or redis.call('SISMEMBER', prefix .. ':aside:' .. place, id) == 1 or (task[14] and (isParked or task[16]))
  if not isAdmitted then
    -- Its time may have come: then it takes a place, or waits for one like others.
    local later = prefix .. ':later:' .. place
    local due = redis.call('ZSCORE', later, id)
    if due and tonumber(due) <= now then
      redis.call('ZREM', later, id)
      if redis.call('SCARD', admitted) < admittedMax then
        redis.call('SADD', admitted, id)
        isAdmitted = true
      else
        redis.call('ZADD', prefix .. ':waiting:' .. place, redis.call('HGET', KEYS[1], 'waitScore'), id)
      end
    end
  end
  if not isAdmitted and to ~= 'failed' and to ~= 'canceled' then return {'waiting', state} end
end
local timeline = (task[8] and task[8] ~= '') and (task[8] .. ';') or ''
local mark = task[16] and ('@' .. task[16]) or ''
if entryFence ~= '' and to ~= 'active' then
  if state ~= 'pending' then return {'superseded', state} end
  task[3] = tonumber(task[3]) + 1
  timeline = timeline .. 'active@' .. ARGV[10] .. '@' .. task[3] .. mark .. ';'
  redis.call('HSET', KEYS[1], 'attempt', task[3], 'fence', tonumber(task[2]) + 1, 'entryId', ARGV[8], 'startedAt', ARGV[10])
  if task[15] then emit(prefix, KEYS[1], id, 'started', ARGV[10]) end
  state = 'active'
end
if to == '' then
  if state ~= 'active' then return {'illegal', state} end
  redis.call('HSET', KEYS[1], unpack(ARGV, 14))
  return {'ok', state}
end
if not legal[state][to] then return {'illegal', state} end
if to == 'completed' and task[16] and tonumber(task[16]) + 1 < tonumber(task[17]) then
  redis.call('HSET', KEYS[1], unpack(ARGV, 14))
  if task[15] then emit(prefix, KEYS[1], id, 'step_completed', now) end
  return nextStep(prefix, KEYS[1], id, task[4], task[5], admittedMax, timeline, now, state)
end
local attempt = tonumber(task[3])
local isContinued = to == 'active' and isParked
if to == 'active' and not isContinued then attempt = attempt + 1 end
if isContinued then timeline = task[8]
else timeline = timeline .. to .. '@' .. ARGV[6] .. '@' .. attempt .. mark end
redis.call('HSET', KEYS[1], 'state', to, 'timeline', timeline, unpack(ARGV, 14))
if to == 'active' then
  redis.call('HSET', KEYS[1], 'attempt', attempt, 'fence', tonumber(task[2]) + 1, 'entryId', ARGV[8], 'claimId', ARGV[11], 'notBeforeAt', '', 'glancedAt', '')
  redis.call('HSETNX', KEYS[1], 'startedAt', ARGV[10])
  if task[15] and not isContinued then emit(prefix, KEYS[1], id, 'started', now) end
  local claimed = redis.call('HGETALL', KEYS[1])
  table.insert(claimed, 1, state)
  table.insert(claimed, 1, 'ok')
  return claimed
end
if task[15] then emit(prefix, KEYS[1], id, to == 'pending' and 'requeued' or to, now) end
if to == 'pending' then return {'ok', state} end
local queue, owner, keep = task[4], task[5], tonumber(task[9])
redis.call('HSET', KEYS[1], 'finishedAt', now, 'expiresAt', now + keep)
if task[18] then redis.call('HDEL', KEYS[1], 'token') end
redis.call('PEXPIRE', KEYS[1], keep)
if task[15] then keepTraits(prefix, KEYS[1], id, owner, to, now, keep) end
leave(prefix, queue, queue .. ':' .. owner, id)
if task[7] then redis.call('PEXPIRE', task[7], keep) end
local answer = {'ok', state, '', 0}
promote(prefix, queue .. ':' .. owner, admittedMax, answer)
answer[4] = (#answer - 4) / 2
-- Of one that was told already nobody waits any more.
local replyTo = redis.call('HGET', KEYS[1], 'replyTo')
if replyTo and replyTo ~= '' then
  local message = id .. ' ' .. to
  local result = redis.call('HGET', KEYS[1], 'result')
  if result and #result <= ${repliedBytesMax} then message = message .. ' ' .. result end
  redis.call('PUBLISH', prefix .. ':reply:' .. replyTo, message)
end
return answer
`;

/** Clocks of machines differ: when a task was glanced at is said, and judged, by that of Redis. */
const storeTimeFunction = `
local function storeTime()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
`;

/**
 * Lays an active task by until a time, without a worker. KEYS: task. ARGV: key prefix, id, fence, now, not before, the
 * place (`aside`: it waits for somebody else and takes no place of its owner's; `turn`: it takes one, or waits for one;
 * `kept`: it has one and keeps it), state (pending | active), admitted bound, id of the entry that will carry it, whether it is
 * glanced at meanwhile (1|0), then field, value … The first park of a task tells who waits for it that it is prepared. Returns {'gone'} |
 * {'stale', state} | {'illegal', state} | {'ok', has its turn 1|0, id and fence of each promoted task …}.
 */
export const parkScript = `
${promoteFunction}
${storeTimeFunction}
local prefix, id, now, place, to = ARGV[1], ARGV[2], ARGV[4], ARGV[6], ARGV[7]
local task = redis.call('HMGET', KEYS[1], 'state', 'fence', 'queue', 'owner', 'timeline', 'attempt', 'replyTo', 'admittedMax', 'createdAt', 'waitScore', 'step')
if not task[1] then return {'gone'} end
if task[2] ~= ARGV[3] then return {'stale', task[1]} end
if task[1] ~= 'active' then return {'illegal', task[1]} end
local admittedMax = tonumber(task[8] or ARGV[8])
local at = task[3] .. ':' .. task[4]
local admittedKey, asideKey = prefix .. ':admitted:' .. at, prefix .. ':aside:' .. at
local timeline = task[5]
local mark = task[11] and ('@' .. task[11]) or ''
if string.match(timeline, '(%a+)@[%d@]+$') ~= to then
  timeline = timeline .. ';' .. to .. '@' .. now .. '@' .. task[6] .. mark
end
redis.call('HSET', KEYS[1], 'state', to, 'timeline', timeline, 'notBeforeAt', ARGV[5], 'entryId', ARGV[9], 'glancedAt', ARGV[10] == '1' and storeTime() or '', unpack(ARGV, 11))
local answer = {'ok', 1}
if place == 'aside' then
  redis.call('SREM', admittedKey, id)
  redis.call('SADD', asideKey, id)
elseif place == 'turn' and redis.call('SISMEMBER', admittedKey, id) == 0 then
  redis.call('SREM', asideKey, id)
  if redis.call('SCARD', admittedKey) < admittedMax then
    redis.call('SADD', admittedKey, id)
  else
    redis.call('ZADD', prefix .. ':waiting:' .. at, task[10] or task[9], id)
    answer[2] = 0
  end
end
promote(prefix, at, admittedMax, answer)
if redis.call('HSETNX', KEYS[1], 'preparedAt', now) == 1 and task[7] and task[7] ~= '' then
  redis.call('PUBLISH', prefix .. ':reply:' .. task[7], id .. ' prepared')
end
return answer
`;

/**
 * Tells how far a task is that is laid by. KEYS: task. ARGV: fence, progress, now. Returns 'told'; 'taken' where the task has
 * been taken up since, or is gone; 'canceled' where that is wished, and nobody has had it taken up for that yet.
 */
export const tellProgressScript = `
${storeTimeFunction}
local task = redis.call('HMGET', KEYS[1], 'fence', 'notBeforeAt', 'state', 'cancel')
if task[1] ~= ARGV[1] or task[3] ~= 'active' or not task[2] or task[2] == '' then return 'taken' end
if task[4] then return 'canceled' end
redis.call('HSET', KEYS[1], 'progress', ARGV[2], 'updatedAt', ARGV[3], 'glancedAt', storeTime())
return 'told'
`;

/** Whether a task that is laid by was not glanced at for so long, though it is to be. KEYS: task. ARGV: milliseconds. Returns 1 | 0. */
export const forsakenScript = `
${storeTimeFunction}
local task = redis.call('HMGET', KEYS[1], 'glancedAt', 'notBeforeAt')
if not tonumber(task[1] or '') or not tonumber(task[2] or '') then return 0 end
return storeTime() - task[1] > tonumber(ARGV[1]) and 1 or 0
`;
