/**
 * The part of the task scripts that tells of a task's steps: it appends the event in the same transaction that changes
 * the task, so that there is an event of every step and of none that did not happen.
 */

/** Events of one owner that are kept; older ones leave by and by. */
export const eventsKeptMax = 10_000;
/** The events of an owner are forgotten so long after the last one. */
const eventsKeepMs = 7 * 24 * 3_600_000;
/** Notices that wait for a worker to take them; with workers away for long the oldest go first. */
const outboxMax = 1_000_000;

/** Where the events of an owner are: a stream of Redis. */
export function eventsKey(keyPrefix: string, owner: string): string {
  return `${keyPrefix}:events:${owner}`;
}

/** The channel on which API processes hear that an owner has a new event; the message is the event's id. */
export function wakeChannel(keyPrefix: string, owner: string): string {
  return `${keyPrefix}:wake:${owner}`;
}

/** The endpoints of an owner: a hash of id → JSON. While it is there, the events of the owner are put into the outbox. */
export function endpointsKey(keyPrefix: string, owner: string): string {
  return `${keyPrefix}:hooks:${owner}`;
}

/** Events that are to become deliveries: a stream of Redis. */
export function outboxKey(keyPrefix: string): string {
  return `${keyPrefix}:outbox`;
}

/**
 * Lua: `tell(prefix, owner, webhook, fields)`, an event to its owner's stream, to those who listen, and, where the owner has
 * endpoints or `webhook` is an address, to the outbox. `webhook` is false or empty where there is none.
 */
export const tellFunction = `
local function tell(prefix, owner, webhook, fields)
  local stream = prefix .. ':events:' .. owner
  local event = redis.call('XADD', stream, 'MAXLEN', '~', ${eventsKeptMax}, '*', unpack(fields))
  redis.call('PEXPIRE', stream, ${eventsKeepMs})
  redis.call('PUBLISH', prefix .. ':wake:' .. owner, event)
  local isNamed = webhook and webhook ~= ''
  if isNamed or redis.call('EXISTS', prefix .. ':hooks:' .. owner) == 1 then
    redis.call('XADD', prefix .. ':outbox', 'MAXLEN', '~', ${outboxMax}, '*', 'owner', owner, 'event', event,
      'webhook', webhook or '', unpack(fields))
  end
end`;

/**
 * Lua: `emit(prefix, task key, id, step, at)`. The number of the event within its task is counted in the record. The row
 * of the outbox is written where the owner has endpoints or the task names one.
 */
export const emitFunction = `
${tellFunction}
local function emit(prefix, key, id, step, at)
  local task = redis.call('HMGET', key, 'owner', 'operation', 'system', 'attempt', 'error', 'webhook', 'stepName')
  local sequence = redis.call('HINCRBY', key, 'sequence', 1)
  local code = ''
  if step == 'failed' or step == 'canceled' then
    local isRead, stored = pcall(cjson.decode, task[5] or '')
    if isRead and type(stored) == 'table' then code = stored['code'] or '' end
  end
  tell(prefix, task[1], task[6], {'type', 'task.' .. step, 'task', id, 'sequence', sequence, 'at', at,
    'operation', task[2], 'system', task[3], 'attempt', task[4], 'code', code, 'step', task[7] or ''})
end`;
