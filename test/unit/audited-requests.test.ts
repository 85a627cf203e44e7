/** The audit records of requests that are to become a task. */
import { expect, it } from 'vitest';
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

it('one that was let in and then had no room leaves two: that it was let in, and that it was refused', async () => {
  const { gate } = createLocalGate();
  const full: TaskGate = {
    ...gate,
    // As the gate itself: the record goes along with the accept.
    async acceptAndWait(request) {
      const takeBack = request.onAccepted?.('01900000-0000-7000-8000-000000000001', false, Date.now());
      await Promise.resolve();
      takeBack?.();
      throw new BrokerError('UserQueueFull', 'You have 10 open tasks.', { retryAfterSeconds: 5 });
    },
  };
  const { app, told } = appWith(full);
  const { status } = await app.request(route, mkdir);
  expect(told).toMatchObject([
    { kind: 'request', decision: 'allowed', task: '01900000-0000-7000-8000-000000000001' },
    { kind: 'request', decision: 'refused', status, why: 'UserQueueFull: You have 10 open tasks.', task: null },
  ]);
  expect(told[0]?.request).toBe(told[1]?.request);
});
