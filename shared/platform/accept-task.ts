/** Accepts a task: hands the accept script what it needs, and says what came of it. */
import { BrokerError } from '../errors/broker-error.ts';
import { lanes } from '../operations/lanes.ts';
import { chainFields } from '../tasks/chain.ts';
import { storedTags, waitScore } from '../tasks/task.ts';
import { keyMismatch } from './batch-keys.ts';
import { queueName } from './queues.ts';
import { withStore } from './redis.ts';
import type { Accepted, NewTask, TaskStoreSettings } from './task-store.ts';
import { intervalMs, rateKey, rateState, tooFast } from './user-rate.ts';

export interface AcceptingRedis {
  gcAccept(...args: (string | number)[]): Promise<(string | number)[]>;
}

/** The sets of open tasks of a system, one for each lane, separated by line feeds. */
function openKeysOf(keyPrefix: string, system: string): string {
  return lanes.map((lane) => `${keyPrefix}:open:${queueName(lane, system)}`).join('\n');
}

/** StoreUnavailable, IdempotencyMismatch, QueueFull, UserQueueFull, RateLimited. */
export async function acceptTask(redis: AcceptingRedis, settings: TaskStoreSettings, task: NewTask): Promise<Accepted> {
  const { keyPrefix } = settings;
  const idemKey = `${keyPrefix}:idem:${task.owner}:${task.idempotency?.key ?? ''}`;
  const { operation, system, queue, owner, principal, input, deadlineAt, keepMs, replyTo, requestId, entryId } = task;
  const place = waitScore(task.priority ?? 0, task.startAt ?? task.createdAt);
  const record = {
    ...{
      operation,
      system: system ?? '',
      queue,
      owner,
      principal,
      input,
      deadlineAt,
      keepMs,
      replyTo,
      requestId,
      entryId,
    },
    isHeld: task.isHeld ? '1' : '0',
    timeline: `pending@${task.createdAt}@0${task.chain === undefined ? '' : `@${task.chain.at}`}`,
    ...(task.chain === undefined ? {} : chainFields(task.chain)),
    ...(task.retryOf === undefined ? {} : { retryOf: task.retryOf }),
    ...(task.traceparent === undefined ? {} : { traceparent: task.traceparent }),
    ...(task.isIndexed ? { emits: '1' } : {}),
    ...(task.webhook === undefined ? {} : { webhook: task.webhook }),
    ...(task.address === undefined ? {} : { address: task.address }),
    ...(task.policy === 'openfga' ? { policy: task.policy } : {}),
    ...(task.sealedToken === undefined ? {} : { token: task.sealedToken }),
    ...(task.tags?.length ? { tags: storedTags(task.tags) } : {}),
    ...(task.priority ? { priority: task.priority, waitScore: place } : {}),
    ...(task.startAt === undefined ? {} : { startAt: task.startAt, waitScore: place }),
    ...(task.idempotency ? { idem: idemKey } : {}),
    ...(task.jobId === undefined ? {} : { jobId: task.jobId }),
    ...(task.admittedMax === undefined ? {} : { admittedMax: task.admittedMax }),
  };
  const fields: (string | number)[] = Object.entries(record).flat();
  const limit = settings.ratePerUser ?? null;
  const [outcome, id, untilFullMs] = await withStore(() =>
    redis.gcAccept(
      `${keyPrefix}:task:${task.id}`,
      `${keyPrefix}:tasks:${task.owner}`,
      `${keyPrefix}:open:${task.queue}`,
      `${keyPrefix}:waiting:${task.queue}:${task.owner}`,
      `${keyPrefix}:admitted:${task.queue}:${task.owner}`,
      idemKey,
      `${keyPrefix}:aside:${task.queue}:${task.owner}`,
      `${keyPrefix}:later:${task.queue}:${task.owner}`,
      `${keyPrefix}:queues`,
      rateKey(keyPrefix, task.owner),
      task.id,
      task.createdAt,
      settings.openPerQueueMax,
      settings.openPerUserMax,
      task.admittedMax ?? settings.admittedPerUserMax,
      task.isIndexed ? '1' : '0',
      task.idempotency?.fingerprint ?? '',
      task.createdAt - 2 * settings.keepMs,
      place,
      task.startAt ?? '',
      queue,
      limit === null ? '' : intervalMs(limit),
      limit?.burst ?? '',
      system === null ? '' : settings.openPerSystemMax,
      system === null ? '' : openKeysOf(keyPrefix, system),
      task.idempotency?.insteadOf ?? '',
      ...fields,
    ),
  );
  switch (outcome) {
    case 'replay':
      return { id: String(id), isNew: false, isAdmitted: false, rate: null };
    case 'mismatch':
      throw keyMismatch();
    case 'rate':
      throw tooFast(limit, Number(id), Number(untilFullMs));
    case 'queue-full':
      throw new BrokerError('QueueFull', `The queue holds ${settings.openPerQueueMax} open tasks, its bound.`, {
        ...{ retryAfterSeconds: 5, quota: settings.openPerQueueMax },
      });
    case 'system-full':
      throw new BrokerError(
        'QueueFull',
        `The system ${system} has ${settings.openPerSystemMax} open tasks, its bound.`,
        { retryAfterSeconds: 5, quota: settings.openPerSystemMax },
      );
    case 'user-full':
      throw new BrokerError(
        'UserQueueFull',
        `You have ${settings.openPerUserMax} open tasks in this queue, the bound for one user.`,
        { retryAfterSeconds: 5, quota: settings.openPerUserMax },
      );
    default:
      return {
        id: String(id),
        isNew: true,
        isAdmitted: Number(outcome) === 1,
        rate: limit === null ? null : rateState(limit, Number(untilFullMs)),
      };
  }
}
