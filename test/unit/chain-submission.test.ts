/** Chains are looked at whole before anything runs: what a step takes of others must be there, come before, and fit. */
import { describe, expect, it } from 'vitest';
import type { AuditFacts } from '../../shared/audit/record.ts';
import { createLocalGate, createTestApp, jsonPost } from './api-fixture.ts';

const submit = {
  name: 'submit',
  operation: 'compute.submit-job',
  input: { job: { workingDirectory: '/home/a', script: '#!/bin/sh\n' } },
};
const wait = { name: 'wait', operation: 'compute.await-job', input: { jobId: { $from: 'submit/jobId' } } };
const view = { name: 'view', operation: 'filesystem.view', input: { path: '/home/a/./out', size: 10 } };
const chain = (...steps: unknown[]) => ({ system: 'alps', steps });
const from = (reference: unknown, more: Record<string, unknown> = {}) => ({
  ...wait,
  input: { jobId: { $from: reference, ...more } },
});

async function post(body: unknown) {
  const { gate, accepted } = createLocalGate();
  const response = await createTestApp(gate).request('/tasks', jsonPost(body));
  const problem = (await response.json()) as { errors?: { pointer: string }[]; message: string };
  return { status: response.status, pointer: problem.errors?.[0]?.pointer, message: problem.message, accepted };
}

it('a good chain is accepted with every input that is known parsed, and the references as they are', async () => {
  const { status, accepted } = await post(chain(submit, wait, { ...view, system: 'daint' }));
  expect(status).toBe(202);
  expect(accepted[0]).toMatchObject({ operation: 'compute.submit-job', system: 'alps' });
  expect(accepted[0]?.chain?.steps).toMatchObject([
    { name: 'submit', system: 'alps', input: { job: { name: null } } },
    { name: 'wait', system: 'alps', input: { jobId: { $from: 'submit/jobId' } } },
    { name: 'view', system: 'daint', input: { path: '/home/a/out' } },
  ]);
});

it('the audit record of a chain names every step, where it runs and what it is about, accepted or refused', async () => {
  const told: Partial<AuditFacts>[] = [];
  const trail = { append: (facts: AuditFacts) => told.push(facts), requireWritable: () => {} };
  const audit = {
    store: { readBack: async () => [], readOn: async () => [] },
    isAdministrator: async () => false,
    trail,
  };
  const app = createTestApp(createLocalGate().gate, { audit });
  await app.request('/tasks', jsonPost(chain(submit, wait, { ...view, system: 'daint' })));
  await app.request('/tasks', jsonPost(chain(submit, from('wait/jobId'))));
  expect(told).toMatchObject([
    {
      ...{ kind: 'request', action: 'compute.submit-job', system: 'alps', decision: 'allowed' },
      why: expect.stringMatching(/^may submit, view_status, read_files\b/),
      target: {
        ...{ '/steps/0': 'submit: compute.submit-job on alps', '/steps/1': 'wait: compute.await-job on alps' },
        ...{ '/steps/2': 'view: filesystem.view on daint', '/steps/2/path': '/home/a/out' },
      },
    },
    {
      ...{ action: 'POST /tasks', system: 'alps', decision: 'refused' },
      target: { '/steps/0': 'compute.submit-job', '/steps/1': 'compute.await-job' },
    },
  ]);
});

describe('a chain is refused, and the place is named:', () => {
  it.each([
    ['a step that is not there', chain(submit, from('sumbit/jobId')), '/steps/1/input/jobId', 'no such step'],
    ['a later step', chain(from('submit/jobId'), submit), '/steps/0/input/jobId', 'does not run before'],
    ['itself', chain(submit, from('wait/jobId')), '/steps/1/input/jobId', 'does not run before'],
    ['a field that the result lacks', chain(submit, from('submit/job_id')), '/steps/1/input/jobId', 'does not have'],
    [
      'a value of another type',
      chain(submit, from('submit')),
      '/steps/1/input/jobId',
      'object by `submit` and must be string',
    ],
    ['no reference', chain(submit, from(7)), '/steps/1/input/jobId', 'JSON pointer'],
    ['a reference with more to it', chain(submit, from('submit/jobId', { or: '1' })), '/steps/1/input/jobId', 'alone'],
    [
      'an input that is all a reference',
      chain(submit, { ...wait, input: { $from: 'submit' } }),
      '/steps/1/input',
      'object',
    ],
    ['a name twice', chain(submit, { ...submit, operation: 'filesystem.stat' }), '/steps/1/name', 'also the name'],
    ['a name that cannot be referred to', chain({ ...submit, name: 'a/b' }), '/steps/0/name', 'letters'],
    ['a field nobody knows', chain({ ...submit, retries: 3 }), '/steps/0/retries', 'is not known'],
    [
      'an input field nobody knows',
      chain({ ...submit, input: { ...submit.input, x: 1 } }),
      '/steps/0/input/x',
      'not known',
    ],
    [
      'a wrong value beside a reference',
      chain(submit, { ...wait, input: { ...wait.input, expect: 'luck' } }),
      '/steps/1/input/expect',
      'must be one of',
    ],
    [
      'a text where a number is wanted',
      chain(submit, { ...view, input: { path: '/etc/x', size: { $from: 'submit/jobId' } } }),
      '/steps/1/input/size',
      'must be',
    ],
    [
      'an operation nobody knows',
      chain(submit, { ...view, operation: 'filesystem.burn' }),
      '/steps/1/operation',
      'is not an operation',
    ],
    ['bytes of a file', chain({ ...view, operation: 'filesystem.download' }), '/steps/0/operation', 'moves the bytes'],
    ['no system', { steps: [submit] }, '/steps/0/system', 'is required'],
    [
      'an operation beside the steps',
      { ...chain(submit), operation: 'filesystem.stat' },
      '/operation',
      'must be left out',
    ],
    ['too many', chain(...Array.from({ length: 5 }, (_, n) => ({ ...view, name: `s${n}` }))), '/steps', 'at most 4'],
    ['none', chain(), '/steps', 'at least one'],
  ])('%s', async (_what, body, pointer, text) => {
    const answer = await post(body);
    expect([answer.status, answer.pointer]).toEqual([400, pointer]);
    expect(answer.message).toContain(text);
    expect(answer.accepted).toEqual([]);
  });

  it('a path out of the file systems beside a reference', async () => {
    const chmod = {
      name: 'c',
      operation: 'filesystem.chmod',
      input: { path: '/etc/x', mode: { $from: 'submit/jobId' } },
    };
    const { message, accepted } = await post(chain(submit, chmod));
    expect(message).toContain('/etc/x');
    expect(accepted).toEqual([]);
  });
});
