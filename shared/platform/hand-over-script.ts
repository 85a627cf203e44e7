/** The script by which the API takes a queue entry for a worker that has room, and claims its task for it. */
import { findOperation, operationNames } from '../operations/registry.ts';
import { peekFunction } from './peek-scripts.ts';
import { transitionScript } from './task-scripts.ts';

/** A task whose record is longer goes the usual way: a hand-over's message holds all of it, and Redis keeps it until it is read. */
const recordBytesMax = 65_536;

/**
 * Lua: the operations of which nobody can tell whether they were done. Where the message of one is lost, its task would end so,
 * though nobody had begun it.
 */
const unsure = operationNames.filter((name) => findOperation(name)?.recover === 'unknown');
const luaUnsure = `{${unsure.map((name) => `['${name}']=true`).join(',')}}`;

/**
 * With more tasks in a queue that could run now, this one included, none is handed over: where there is more to do, workers take
 * what waits together, which costs all of it one write and one sync of Redis's file.
 */
const runnableMax = 2;

/** So many of the newest open tasks are looked at. */
const lookedAtMax = 8;

/**
 * Lua: whether there are more. Those that wait for their time, or are laid by, could not run: each has an entry that BullMQ
 * delays. Such an entry may be of a task that has ended, so what was accepted last is looked at too.
 */
const isBusyFunction = `
local function couldRun(key, now)
  local task = redis.call('HMGET', key, 'state', 'notBeforeAt', 'startAt')
  if not task[1] or (task[2] and task[2] ~= '') then return false end
  return task[1] ~= 'pending' or not task[3] or tonumber(task[3]) <= tonumber(now)
end
local function isBusy(prefix, openKey, delayedKey, now)
  local open = redis.call('ZCARD', openKey)
  if open <= ${runnableMax} then return false end
  if open - redis.call('ZCARD', delayedKey) > ${runnableMax} then return true end
  local count = 0
  for _, id in ipairs(redis.call('ZREVRANGE', openKey, 0, ${lookedAtMax - 1})) do
    if couldRun(prefix .. ':task:' .. id, now) then count = count + 1 end
  end
  return count > ${runnableMax}
end`;

/**
 * Sent behind an accept and before BullMQ's own adding of the entry, all in one write. Where the entry would be the next and
 * only one to be taken, it is made as BullMQ makes and takes one, in the worker's name, the task is claimed where that comes
 * first, and the worker is told; BullMQ then knows the entry and adds none. Otherwise nothing is written.
 * KEYS: task, BullMQ's waiting and active entries of the queue, its prioritised and delayed ones, its settings. ARGV: key prefix, id
 * of the task, prefix of the queue's entries, id of the entry, its data, its options, now, token of its lock, how long that
 * holds, with how many active entries the worker may have no room, its channel, queue, worker, id of the claim (empty: none).
 * Returns 'handed', or why it was not: 'nobody' hears on that channel; others are 'ahead'; 'busy'; the queue is 'held'; there
 * is such an entry ('known'); the task is not there, or not to run now ('useless'); nobody could tell whether it was done
 * ('unsure'); its record is 'large'.
 */
export const handOverScript = `
${peekFunction}${isBusyFunction}
local function transition(KEYS, ARGV)
${transitionScript}
end
local prefix, id, entryId, now, channel, claimId = ARGV[1], ARGV[2], ARGV[4], ARGV[7], ARGV[11], ARGV[14]
local entryKey = ARGV[3] .. entryId
if redis.call('PUBSUB', 'NUMSUB', channel)[2] == 0 then return 'nobody' end
if redis.call('LLEN', KEYS[2]) > 0 or redis.call('ZCARD', KEYS[4]) > 0 then return 'ahead' end
-- BullMQ's scores of delayed entries are milliseconds times 4096.
if redis.call('ZCOUNT', KEYS[5], '-inf', (tonumber(now) + 1) * 4096 - 1) > 0 then return 'ahead' end
if isBusy(prefix, prefix .. ':open:' .. ARGV[12], KEYS[5], now) then return 'busy' end
if redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[10]) then return 'busy' end
local held = redis.call('HMGET', KEYS[6], 'paused', 'concurrency', 'max')
if held[1] or held[2] or held[3] then return 'held' end
if redis.call('EXISTS', entryKey) == 1 then return 'known' end
local task = redis.call('HMGET', KEYS[1], 'state', 'fence', 'entryId', 'queue', 'owner', 'operation')
if task[1] ~= 'pending' or task[2] ~= '0' or task[3] ~= entryId then return 'useless' end
if redis.call('SISMEMBER', prefix .. ':admitted:' .. task[4] .. ':' .. task[5], id) == 0 then return 'useless' end
if (${luaUnsure})[task[6]] then return 'unsure' end
local recordBytes = 0
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do recordBytes = recordBytes + #value end
if recordBytes > ${recordBytesMax} then return 'large' end
local record
if claimId == '' then record = peek(prefix, id)
else
  record = transition({KEYS[1]}, {prefix, id, 'active', '', '0', now, '0', entryId, '0', now, claimId, '', '', 'worker', ARGV[13], 'updatedAt', now})
  if record[1] ~= 'ok' then return 'useless' end
end
redis.call('SET', entryKey .. ':lock', ARGV[8], 'PX', ARGV[9])
redis.call('HMSET', entryKey, 'name', 'tasks', 'data', ARGV[5], 'opts', ARGV[6], 'timestamp', now, 'delay', 0, 'priority', 0, 'processedOn', now, 'ats', 1)
redis.call('LPUSH', KEYS[3], entryId)
local entry = redis.call('HGETALL', entryKey)
redis.call('PUBLISH', channel, cjson.encode({ARGV[12], entryId, entry, claimId == '' and 0 or 1, record}))
return 'handed'
`;
