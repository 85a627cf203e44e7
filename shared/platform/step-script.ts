/**
 * The part of the task scripts that goes from one step of a chain to the next: the step that ended well is kept, and the
 * task is pending again as the next one, in the next one's queue.
 */

/**
 * Lua: `nextStep(prefix, task key, id, queue, owner, admitted bound, timeline so far, now, state)`, the answer of the
 * transition. `promote` and `leave` are defined before it. The task waits behind those of its owner's that were accepted
 * earlier, and no longer.
 */
export const nextStepFunction = `
local function nextStep(prefix, key, id, queue, owner, admittedMax, timeline, now, state)
  local at = tonumber(redis.call('HGET', key, 'step'))
  local done, new = 's' .. at .. ':', 's' .. (at + 1) .. ':'
  local task = redis.call('HMGET', key, 'result', 'journal', 'waitScore', 'createdAt',
    new .. 'name', new .. 'operation', new .. 'system', new .. 'queue', new .. 'input', new .. 'admittedMax')
  local newQueue = task[8]
  redis.call('HSET', key, done .. 'result', task[1])
  if task[2] then redis.call('HSET', key, done .. 'journal', task[2]) end
  redis.call('HDEL', key, 'result', 'journal', 'progress', 'preparedAt', 'claimId')
  redis.call('HSET', key, 'state', 'pending', 'step', at + 1, 'stepName', task[5], 'operation', task[6],
    'system', task[7], 'queue', newQueue, 'input', task[9], 'admittedMax', task[10], 'attempt', 0, 'handBacks', 0,
    'entryId', '', 'notBeforeAt', '', 'timeline', timeline .. 'pending@' .. now .. '@0@' .. (at + 1))
  leave(prefix, queue, queue .. ':' .. owner, id)
  redis.call('ZADD', prefix .. ':open:' .. newQueue, now, id)
  redis.call('SADD', prefix .. ':queues', newQueue)
  redis.call('ZADD', prefix .. ':waiting:' .. newQueue .. ':' .. owner, task[3] or task[4], id)
  local answer = {'ok', state, newQueue, 0}
  promote(prefix, queue .. ':' .. owner, admittedMax, answer)
  answer[4] = (#answer - 4) / 2
  if newQueue ~= queue then promote(prefix, newQueue .. ':' .. owner, tonumber(task[10]), answer) end
  return answer
end
`;
