/** The audit records of requests that are to become a task. */
import { expect, it } from 'vitest';
import { mayBeKept } from '../../api/tasks/lost-accept.ts';
import type { TaskGate } from '../../api/tasks/task-gate.ts';
import type { AuditFacts } from '../../shared/audit/record.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { createLocalGate, createTestApp, jsonPost } from './api-fixture.ts';

const mkdir = jsonPost({ path: '/home/alice/new' });
const route = '/filesystem/alps/ops/mkdir';

function appWith(gate: TaskGate) {
  const told: Partial<AuditFacts>[] = [];
  const audit = {
    store: { readBack: async () => [], readOn: async () => [] },
    isAdministrator: async () => false,
    trail: { append: (facts: AuditFacts) => told.push(facts), requireWritable: () => {} },
  };
  return { app: createTestApp(gate, { audit }), told };
}

it('a change leaves one, also where its task failed', async () => {
  const error = { code: 'FileExists', fault: 'caller', retryable: false, message: 'File exists', advice: '' } as const;
  const { app, told } = appWith(createLocalGate(() => ({ state: 'failed', error })).gate);
  expect((await app.request(route, mkdir)).status).toBe(400);
  expect(told).toMatchObject([
    { decision: 'allowed', action: 'filesystem.mkdir', target: { path: '/home/alice/new' } },
  ]);
});

/** What a gate does whose accept fails once it was sent: the record goes along with it, and is told what came of it. */
function failing(
  error: BrokerError,
  isPerhapsKept: boolean,
  isFailing: (count: number) => boolean = () => true,
): TaskGate {
  const { gate } = createLocalGate();
  let count = 0;
  const accept: TaskGate['accept'] = async (request) => {
    count += 1;
    if (!isFailing(count)) return gate.accept(request);
    const tellInstead = request.onAccepted?.(`01900000-0000-7000-8000-00000000f00${count}`, Date.now());
    await Promise.resolve();
    tellInstead?.({ error, mayBeKept: isPerhapsKept });
    throw error;
  };
  return { ...gate, accept, acceptAndWait: async (request) => ({ ...(await accept(request)), state: 'pending' }) };
}

const noRoom = new BrokerError('UserQueueFull', 'You have 10 open tasks.', { retryAfterSeconds: 5 });
const lost = new BrokerError('OutcomeUnknown', 'The task store did not answer.');
const task = '01900000-0000-7000-8000-00000000f001';

it.each([
  ['had no room', 'refused', noRoom, false],
  ['was not answered, so that it may be kept and run', 'unknown', lost, true],
] as const)(
  'one that was let in and then %s leaves two of its task: allowed, and %s',
  async (_, decision, error, isPerhapsKept) => {
    const { app, told } = appWith(failing(error, isPerhapsKept));
    const { status } = await app.request(route, mkdir);
    const asked = { kind: 'request', action: 'filesystem.mkdir', target: { path: '/home/alice/new' }, task };
    expect(told).toMatchObject([
      { ...asked, decision: 'allowed' },
      { ...asked, decision, status, why: `${error.code}: ${error.message}` },
    ]);
    expect(told).toHaveLength(2);
    expect(told[0]?.request).toBe(told[1]?.request);
  },
);

it('of a batch the refused can be told from the kept: each second record has the id that the first one named', async () => {
  const { app, told } = appWith(failing(noRoom, false, (count) => count % 2 === 0));
  const stat = { operation: 'filesystem.stat', system: 'alps', input: { path: '/home/alice' } };
  const tasks = [stat, stat, { ...stat, system: 'nosuch' }, stat, stat];
  const answer = await app.request('/tasks/batch', jsonPost({ tasks }));
  const { items } = (await answer.json()) as { items: { id: string | null }[] };
  const kept = items.flatMap(({ id }) => (id === null ? [] : [id]));
  expect(kept).toHaveLength(2);
  const idsOf = (decision: string): (string | null)[] =>
    told.filter((one) => one.decision === decision).map((one) => one.task ?? null);
  expect(idsOf('allowed')).toHaveLength(4);
  // What never was a task has no id: its system is not known.
  const refused = idsOf('refused');
  expect(idsOf('refused')).toHaveLength(3);
  expect(idsOf('allowed').filter((id) => id !== null && !refused.includes(id))).toEqual(kept);
});

it('one with the key of an earlier one leaves two: that it was let in, and which task it repeats', async () => {
  const { app, told } = appWith(createLocalGate(() => ({ state: 'completed', result: '{}' })).gate);
  const keyed = { ...mkdir, headers: { ...mkdir.headers, 'idempotency-key': 'k' } };
  await app.request(route, keyed);
  await app.request(route, keyed);
  const [first, second, repeat] = told;
  expect(told.map(({ decision }) => decision)).toEqual(['allowed', 'allowed', 'allowed']);
  expect(second?.task).not.toBe(first?.task);
  expect(repeat).toMatchObject({
    task: first?.task,
    request: second?.request,
    why: `a repeat of an earlier request, which made this task; none was made as ${second?.task}`,
  });
});

it('may be kept unless the store said no, or was not asked', () => {
  const away = (said: string) => new BrokerError('StoreUnavailable', 'away', { cause: new Error(said) });
  const errors = [away('Command timed out'), new TypeError('ours'), away("Stream isn't writeable and so on"), noRoom];
  expect(errors.map(mayBeKept)).toEqual([true, true, false, false]);
});
