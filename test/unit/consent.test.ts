/** Consents at their edges: how long they last, what is asked, and what still happens after their end. */
import { describe, expect, it } from 'vitest';
import { openAccess } from '../../shared/authorization/access-checker.ts';
import { createCheckConsent } from '../../shared/authorization/check-consent.ts';
import { missingPaths } from '../../shared/authorization/missing-access.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import { settlingMs, usualEndOf } from '../../shared/tasks/consent.ts';
import { parseTask, type Task } from '../../shared/tasks/task.ts';
import { findObstacle } from '../../workers/runtime/obstacles.ts';
import { createStillAllowed, isInBackground } from '../../workers/runtime/still-allowed.ts';

const principal = { issuer: 'i', subject: 's', username: 'alice', client: null };
const dayMs = 86_400_000;

function taskOf(operation: string, change: Partial<Task> = {}): Task {
  const now = String(Date.now());
  const times = { createdAt: now, deadlineAt: String(Date.now() + 60_000) };
  const names = {
    id: 't',
    operation,
    system: 'lab',
    queue: 'q',
    owner: 'o',
    state: 'active',
    attempt: '1',
    fence: '1',
  };
  return { ...parseTask({ ...names, ...times, principal: JSON.stringify(principal), input: '{}' }), ...change };
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'allowed',
    ({ code }: BrokerError) => code,
  );

describe('the end of a consent', () => {
  const lives = { task: 30 * dayMs, chain: 2 * dayMs, transfer: dayMs / 2 };
  it.each([
    ['task', 0, dayMs],
    ['task', 5 * dayMs, 6 * dayMs],
    ['task', 29.5 * dayMs, 30 * dayMs],
    ['chain', 0, 2 * dayMs],
    ['transfer', 0, dayMs / 2],
  ] as const)('of a %s that begins %i ms later comes after %i ms', (kind, startAt, end) => {
    expect(usualEndOf(kind, lives, 0, startAt)).toBe(end);
  });

  it('leaves begun work an hour to be stopped or found out about, and then nobody logs in for it', () => {
    const journal = { phase: 'working' };
    const obstacle = (lateMs: number) =>
      findObstacle(taskOf('transfer.cp', { journal, deadlineAt: Date.now() - lateMs }), 'active', copy, 3)?.code;
    const copy = findOperation('transfer.cp');
    expect([obstacle(1_000), obstacle(settlingMs - 60_000), obstacle(settlingMs)]).toEqual([
      undefined,
      undefined,
      'ConsentExpired',
    ]);
    const unbegun = taskOf('transfer.cp', { deadlineAt: Date.now() - 1 });
    expect(findObstacle(unbegun, 'pending', copy, 3)?.code).toBe('DeadlineExceeded');
  });

  it('is not asked about: past it nothing may be done', async () => {
    let asked = 0;
    const checkAccess = async () => {
      asked += 1;
    };
    const check = createCheckConsent({ policy: 'openfga', checkAccess }, () => 1_000);
    const consent = { principal, address: null, until: 1_000, policy: 'openfga' as const };
    expect(await codeOf(check(consent, [{ relation: 'submit', system: 'lab' }]))).toBe('ConsentExpired');
    expect(asked).toBe(0);
  });
});

describe('what is asked before work in the background', () => {
  const asked: unknown[] = [];
  const stillAllowed = createStillAllowed(
    createCheckConsent({
      policy: 'openfga',
      checkAccess: async (who, relation, system, address) => {
        asked.push([who.username, relation, system, address]);
      },
    }),
  );

  it('is each class of operations on each system that the step acts on, from the address of the request', async () => {
    const copy = findOperation('transfer.copy');
    const submit = findOperation('compute.submit-job');
    if (copy === undefined || submit === undefined) throw new Error('no such operation');
    const address = '192.0.2.7';
    await stillAllowed(copy, taskOf('transfer.copy', { address, input: { targetSystem: 'other' } }));
    await stillAllowed(submit, taskOf('compute.submit-job', { input: { watch: true } }));
    expect(asked).toEqual([
      ['alice', 'transfer', 'lab', address],
      ['alice', 'transfer', 'other', address],
      ['alice', 'submit', 'lab', undefined],
      ['alice', 'read_files', 'lab', undefined],
    ]);
  });

  it('is nothing for a request that is held and has just been asked about', () => {
    const held = { isHeld: true, attempt: 1 };
    expect(isInBackground(taskOf('filesystem.ls', held))).toBe(false);
    const later: Partial<Task>[] = [
      { isHeld: false },
      { attempt: 2 },
      { journal: {} },
      { createdAt: Date.now() - 11_000 },
      { chain: { at: 0, name: 'a', count: 1, steps: [] } },
    ];
    expect(later.map((change) => isInBackground(taskOf('filesystem.ls', { ...held, ...change })))).toEqual(
      later.map(() => true),
    );
  });

  it('leaves it open where nobody can tell, and says who took it back where somebody did', async () => {
    const refusal = (error: BrokerError) =>
      createCheckConsent({ policy: 'openfga', checkAccess: () => Promise.reject(error) })(
        { principal, address: null, until: Date.now() + 1_000, policy: 'openfga' },
        [{ relation: 'submit', system: 'lab' }],
      );
    expect(await codeOf(refusal(new BrokerError('AuthorizationUnavailable')))).toBe('AuthorizationUnavailable');
    await expect(refusal(new BrokerError('Forbidden', 'You may not submit jobs on lab.'))).rejects.toThrow(
      'The permission was taken back, or has ended, since this was asked for. You may not submit jobs on lab.',
    );
  });
});

describe('a worker without goldcrest.authorization', () => {
  const stillAllowed = createStillAllowed(createCheckConsent(openAccess));
  const remove = findOperation('filesystem.rm');
  const told = [
    'AuthorizationUnavailable',
    'OpenFGA let this in, and the worker cannot ask it: its configuration lacks goldcrest.authorization.',
  ];

  it('begins nothing in the background that OpenFGA let in, and all that the built-in policy did', async () => {
    if (remove === undefined) throw new Error('no such operation');
    const refusal = await stillAllowed(remove, taskOf('filesystem.rm', { policy: 'openfga' }));
    expect([refusal?.code, refusal?.message]).toEqual(told);
    expect(await stillAllowed(remove, taskOf('filesystem.rm'))).toBeNull();
  });

  it('reaches no path by a grant that may be for directories, and cancels jobs, which no such grant is about', async () => {
    const refusal = await missingPaths(principal, 'read_files', 'lab', ['/']).catch((error: BrokerError) => error);
    expect([refusal?.code, refusal?.message]).toEqual(told);
    await expect(missingPaths(principal, 'cancel', 'lab', [])).resolves.toBeUndefined();
  });
});
