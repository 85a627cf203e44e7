/** The native face in-process: strict submission, polling with ETag and wait, cancel, other people's tasks. */
import { describe, expect, it } from 'vitest';
import { BrokerError, toStoredError } from '../../shared/errors/broker-error.ts';
import { tooFast } from '../../shared/platform/user-rate.ts';
import { asAlice, createLocalGate, createTestApp, jsonPost, nowMs } from './api-fixture.ts';

const ls = { operation: 'filesystem.ls', system: 'Alps', input: { path: '/home/a/./b', showHidden: true } };

function pending() {
  const local = createLocalGate();
  return { ...local, app: createTestApp(local.gate) };
}

describe('POST /tasks', () => {
  it('answers 202 with the task, its address and when to look, and hands the parsed input on', async () => {
    const { app, accepted } = pending();
    const response = await app.request('/tasks', jsonPost({ ...ls, deadline: '2026-01-02T05:00:00+01:00' }));
    expect(response.status).toBe(202);
    const task = (await response.json()) as { id: string };
    expect(response.headers.get('location')).toBe(`/tasks/${task.id}`);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(accepted[0]).toMatchObject({
      operation: 'filesystem.ls',
      system: 'alps',
      input: { path: '/home/a/b', showHidden: true, recursive: false },
      isHeld: false,
      deadlineAt: Date.parse('2026-01-02T04:00:00Z'),
    });
  });

  it('an operation about the broker itself runs on no system', async () => {
    const { app, accepted } = pending();
    expect((await app.request('/tasks', jsonPost({ operation: 'status.systems' }))).status).toBe(202);
    expect(accepted[0]?.system).toBeNull();
    expect((await app.request('/tasks', jsonPost({ operation: 'status.systems', system: 'alps' }))).status).toBe(400);
  });

  it.each([
    [{ ...ls, operation: 'filesystem.burn' }, 400, '/operation', 'filesystem.ls'],
    [{ ...ls, operation: '__proto__' }, 400, '/operation', 'is not an operation'],
    [{ ...ls, system: 'nosuch' }, 404, undefined, 'System not found'],
    [{ operation: 'filesystem.ls', input: ls.input }, 400, '/system', 'is required'],
    [{ ...ls, callback: 'https://x' }, 400, '/callback', 'is not known'],
    [{ ...ls, input: { path: '/home', show_hidden: true } }, 400, '/input/show_hidden', 'is not known'],
    [{ ...ls, input: { path: 7 } }, 400, '/input/path', 'must be a text'],
    [{ ...ls, input: {} }, 400, '/input/path', 'is required'],
    [{ ...ls, input: 'x' }, 400, '/input', 'must be'],
    [{ ...ls, deadline: 'tomorrow' }, 400, '/deadline', 'RFC 3339'],
    [{ ...ls, deadline: new Date(nowMs).toISOString() }, 400, '/deadline', 'in the future'],
  ])('%j is refused and the place is named', async (body, status, pointer, text) => {
    const { app, accepted } = pending();
    const response = await app.request('/tasks', jsonPost(body));
    const problem = (await response.json()) as { errors: { pointer: string }[]; message: string };
    expect([response.status, problem.errors[0]?.pointer]).toEqual([status, pointer]);
    expect(problem.message).toContain(text);
    expect(accepted).toEqual([]);
  });

  it.each([
    [{ ...ls, priority: 101 }, '/priority', 'at most 100'],
    [{ ...ls, priority: 0.5 }, '/priority', 'whole number'],
    [{ ...ls, tags: ['a,b'] }, '/tags/0', 'letters, digits'],
    [{ ...ls, tags: Array.from({ length: 17 }, (_, n) => `t${n}`) }, '/tags', 'at most 16'],
    [{ ...ls, notBefore: '2026-06-01T00:00:00Z' }, '/notBefore', 'within 30 days'],
    [
      { ...ls, notBefore: '2026-01-03T00:00:00Z', deadline: '2026-01-03T00:00:00Z' },
      '/deadline',
      'later than `notBefore`',
    ],
  ])('%j is refused and the place is named too', async (body, pointer, text) => {
    const response = await pending().app.request('/tasks', jsonPost(body));
    const problem = (await response.json()) as { errors: { pointer: string }[]; message: string };
    expect([response.status, problem.errors[0]?.pointer]).toEqual([400, pointer]);
    expect(problem.message).toContain(text);
  });

  it('hands tags, priority and start on, and a start that has passed is as none', async () => {
    const { app, accepted } = pending();
    const wish = { tags: ['a', 'a', 'b=1'], priority: -3 };
    await app.request('/tasks', jsonPost({ ...ls, ...wish, notBefore: '2026-01-03T00:00:00Z' }));
    await app.request('/tasks', jsonPost({ ...ls, notBefore: '2026-01-01T00:00:00Z' }));
    expect(accepted[0]).toMatchObject({ tags: ['a', 'b=1'], priority: -3, startAt: Date.parse('2026-01-03') });
    expect(accepted[1]).not.toHaveProperty('startAt');
  });

  it('a key counts for a read too, and is another request where the start or the tags are others', async () => {
    const { app, accepted } = pending();
    for (const body of [ls, { ...ls, tags: ['x'] }, { ...ls, priority: 1 }]) {
      await app.request('/tasks', jsonPost(body, { 'idempotency-key': `"${accepted.length}"` }));
    }
    expect(new Set(accepted.map(({ fingerprint }) => fingerprint)).size).toBe(3);
    const again = await app.request('/tasks', jsonPost(ls, { 'idempotency-key': '0' }));
    expect([accepted.length, again.headers.get('idempotency-key-reply')]).toEqual([3, 'hit']);
  });

  it('return=minimal leaves id and state', async () => {
    const response = await pending().app.request('/tasks', jsonPost(ls, { prefer: 'return=minimal' }));
    expect(response.headers.get('preference-applied')).toBe('return=minimal');
    expect(await response.json()).toEqual({ id: expect.any(String), state: 'pending' });
  });

  it('a body of another type is 415', async () => {
    const { app } = pending();
    expect((await app.request('/tasks', jsonPost(ls, { 'content-type': 'text/plain' }))).status).toBe(415);
  });

  it('both faces give one fingerprint to one request', async () => {
    const { app, accepted } = pending();
    const job = { workingDirectory: '/home/a', script: 'x' };
    const submission = { operation: 'compute.submit-job', system: 'alps', input: { job } };
    await app.request('/tasks', jsonPost(submission, { 'idempotency-key': '"a"' }));
    await app.request('/compute/alps/jobs', jsonPost({ job }, { 'idempotency-key': '"b"' }));
    expect(accepted[0]?.fingerprint).toBe(accepted[1]?.fingerprint);
  });
});

describe('POST /tasks/batch', () => {
  interface Batch {
    accepted: number;
    refused: number;
    items: { status: number; id: string | null; location: string | null; error: { code: string; message: string } }[];
  }

  it('answers each submission for itself, in order, with what POST /tasks would have said', async () => {
    const { app, accepted } = pending();
    const response = await app.request(
      '/tasks/batch',
      jsonPost({ tasks: [ls, { ...ls, system: 'nosuch' }, 7, { ...ls, input: {} }, ls] }),
    );
    const batch = (await response.json()) as Batch;
    expect([response.status, batch.accepted, batch.refused, accepted.length]).toEqual([200, 2, 3, 2]);
    expect(batch.items.map(({ status }) => status)).toEqual([202, 404, 400, 400, 202]);
    expect(batch.items[4]?.location).toBe(`/tasks/${batch.items[4]?.id}`);
    expect(batch.items[3]?.error).toMatchObject({ code: 'InvalidRequest', errors: [{ pointer: '/input/path' }] });
  });

  it.each([
    [{ tasks: [] }, '/tasks', 'must hold 1 to 1000 submissions, not 0'],
    [{ tasks: Array.from({ length: 1_001 }, () => 0) }, '/tasks', 'not 1001'],
    [{ tasks: {} }, '/tasks', 'must be a list'],
    [{ tasks: [ls], atomic: true }, '/atomic', 'is not known'],
  ])('%j is refused as a whole', async (body, pointer, text) => {
    const response = await pending().app.request('/tasks/batch', jsonPost(body));
    const problem = (await response.json()) as { errors: { pointer: string }[]; message: string };
    expect([response.status, problem.errors[0]?.pointer]).toEqual([400, pointer]);
    expect(problem.message).toContain(text);
  });

  it('with a key finds its tasks again, submits what was refused, and is no key for another batch', async () => {
    const { gate, accepted } = createLocalGate();
    let isSick = true;
    const app = createTestApp(gate, {
      requireHealthy: (_operation, system) => {
        if (isSick && system?.name === 'daint') throw new BrokerError('ServiceUnhealthy');
      },
    });
    const key = { 'idempotency-key': '"b"' };
    const tasks = [{ ...ls, system: 'daint' }, ls];
    const first = await app.request('/tasks/batch', jsonPost({ tasks }, key));
    const before = (await first.json()) as Batch;
    isSick = false;
    const again = await app.request('/tasks/batch', jsonPost({ tasks }, key));
    const after = (await again.json()) as Batch;
    expect([before, after].map(({ items }) => items.map(({ status }) => status))).toEqual([
      [503, 202],
      [202, 202],
    ]);
    expect([after.items[1]?.id, accepted.length]).toEqual([before.items[1]?.id, 2]);
    expect(first.headers.get('idempotency-key-reply')).toBe('miss');
    const third = await app.request('/tasks/batch', jsonPost({ tasks }, key));
    expect(third.headers.get('idempotency-key-reply')).toBe('hit');
    expect((await app.request('/tasks/batch', jsonPost({ tasks: [ls] }, key))).status).toBe(422);
  });
});

describe('GET /tasks', () => {
  it("shows the caller's tasks without input and result, and links to the next page with the same filter", async () => {
    const { app } = pending();
    for (let n = 0; n < 3; n += 1) await app.request('/tasks', jsonPost(ls));
    const response = await app.request('/tasks?limit=2&state=pending,active', { headers: asAlice });
    const page = (await response.json()) as { tasks: Record<string, unknown>[]; next: string };
    expect([response.status, page.tasks.length]).toEqual([200, 2]);
    expect(page.tasks[0]).toMatchObject({ operation: 'filesystem.ls', system: 'alps', state: 'pending' });
    expect(Object.keys(page.tasks[0] ?? {})).not.toEqual(expect.arrayContaining(['input']));
    expect(response.headers.get('link')).toBe(
      `</tasks?state=pending%2Cactive&limit=2&cursor=${page.next}>; rel="next"`,
    );
    const others = await app.request('/tasks', { headers: { authorization: 'Bearer bob' } });
    expect([await others.json(), others.headers.get('link')]).toEqual([{ tasks: [], next: null }, null]);
  });

  it('hands the filter on', async () => {
    const local = createLocalGate();
    const seen: unknown[] = [];
    const list: typeof local.gate.list = async (_principal, filter) => {
      seen.push(filter);
      return { tasks: [], next: null };
    };
    const app = createTestApp({ ...local.gate, list });
    const id = '01900000-0000-7000-8000-000000000001';
    const query = `operation=filesystem.ls&system=Alps&tag=b%3D1&since=2026-01-01T00:00:00Z&cursor=17.${id}`;
    await app.request(`/tasks?${query}`, { headers: asAlice });
    expect(seen).toEqual([
      {
        ...{ after: { createdAt: 17, id }, sinceMs: Date.parse('2026-01-01'), untilMs: Number.MAX_SAFE_INTEGER },
        ...{ states: [], operation: 'filesystem.ls', system: 'alps', tag: 'b=1', shownMax: 50 },
      },
    ]);
  });

  it.each([
    ['limit=0', 'limit', 'from 1 to 200'],
    ['limit=201', 'limit', 'from 1 to 200'],
    ['limit=x', 'limit', 'from 1 to 200'],
    ['state=done', 'state', 'must be one or several of pending'],
    ['cursor=x', 'cursor', '`next` of the page before'],
    ['since=yesterday', 'since', 'RFC 3339'],
    ['tag=a,b', 'tag', 'letters, digits'],
    ['owner=bob', 'owner', 'is not known'],
  ])('?%s is refused and named', async (query, name, text) => {
    const response = await pending().app.request(`/tasks?${query}`, { headers: asAlice });
    const problem = (await response.json()) as { errors: { pointer: string }[]; message: string };
    expect([response.status, problem.errors[0]?.pointer]).toEqual([400, name]);
    expect(problem.message).toContain(text);
  });
});

describe('GET /tasks/{id}/result', () => {
  it.each([
    [{ state: 'completed', result: { files: 3 } }, 200, { files: 3 }],
    [{ state: 'completed', result: null }, 410, { code: 'TaskExpired' }],
    [{ state: 'active' }, 409, { code: 'TaskConflict' }],
    [
      { state: 'failed', error: toStoredError(new BrokerError('FileNotFound', 'gone')) },
      404,
      { code: 'FileNotFound', message: 'gone' },
    ],
  ] as const)('%j is %i', async (ending, status, body) => {
    const { gate } = createLocalGate(() => ending);
    const app = createTestApp(gate);
    const { id } = (await (await app.request('/tasks', jsonPost(ls))).json()) as { id: string };
    const response = await app.request(`/tasks/${id}/result`, { headers: asAlice });
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining(body)]);
    if (status === 409) expect(response.headers.get('retry-after')).toBe('1');
    const others = await app.request(`/tasks/${id}/result`, { headers: { authorization: 'Bearer bob' } });
    expect(others.status).toBe(404);
  });
});

describe('GET and DELETE /tasks/{id}', () => {
  async function submitted() {
    const local = pending();
    const response = await local.app.request('/tasks', jsonPost(ls));
    return { ...local, location: response.headers.get('location') ?? '' };
  }

  it('polling is cheap: the same state is 304, another state is 200', async () => {
    const { app, location, tasks } = await submitted();
    const first = await app.request(location, { headers: asAlice });
    const etag = first.headers.get('etag') ?? '';
    expect([first.status, first.headers.get('retry-after')]).toEqual([200, '1']);
    const headers = { ...asAlice, 'if-none-match': `"x", ${etag.replace('W/', '')}` };
    const same = await app.request(location, { headers });
    expect([same.status, await same.text(), same.headers.get('etag')]).toEqual([304, '', etag]);
    for (const [id, task] of tasks) tasks.set(id, { ...task, state: 'active', fence: 1 });
    expect((await app.request(location, { headers })).status).toBe(200);
  });

  it('wait=N is passed on, at most 60 s, and said to be applied', async () => {
    const { gate, accepted } = createLocalGate();
    const waits: number[] = [];
    const app = createTestApp({
      ...gate,
      wait: (id, principal, waitMs) => {
        waits.push(waitMs);
        return gate.get(id, principal);
      },
    });
    const location = (await app.request('/tasks', jsonPost(ls))).headers.get('location') ?? '';
    const response = await app.request(location, { headers: { ...asAlice, prefer: 'wait=600' } });
    expect([waits, response.headers.get('preference-applied'), accepted.length]).toEqual([[60_000], 'wait=60', 1]);
  });

  it("another user's task, an unknown id and a malformed id are the same 404", async () => {
    const { app, location } = await submitted();
    const asBob = { authorization: 'Bearer bob' };
    for (const [path, headers] of [
      [location, asBob],
      ['/tasks/01900000-0000-7000-8000-999999999999', asAlice],
      ['/tasks/..%2f..%2fx', asAlice],
    ] as const) {
      const response = await app.request(path, { headers });
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([404, 'TaskNotFound']);
    }
    expect((await app.request(location, { method: 'DELETE', headers: asBob })).status).toBe(404);
  });

  it('cancel is 200 when the task has ended by it and 202 while a worker is being stopped', async () => {
    const { app, location, tasks } = await submitted();
    const ended = await app.request(location, { method: 'DELETE', headers: asAlice });
    expect([ended.status, await ended.json()]).toEqual([200, expect.objectContaining({ state: 'canceled' })]);
    for (const [id, task] of tasks) tasks.set(id, { ...task, state: 'active' });
    const stopping = await app.request(location, { method: 'DELETE', headers: asAlice });
    expect([stopping.status, await stopping.json()]).toEqual([202, expect.objectContaining({ cancelRequested: true })]);
  });

  it('wait=N on a cancel awaits the end, and return=minimal shows but the state', async () => {
    const { gate, tasks } = createLocalGate(() => ({ state: 'active' }));
    const app = createTestApp({
      ...gate,
      async wait(id, principal) {
        const task = await gate.get(id, principal);
        tasks.set(id, { ...task, state: 'canceled' });
        return gate.get(id, principal);
      },
    });
    const location = (await app.request('/tasks', jsonPost(ls))).headers.get('location') ?? '';
    const headers = { ...asAlice, prefer: 'wait=5, return=minimal' };
    const response = await app.request(location, { method: 'DELETE', headers });
    expect([response.status, response.headers.get('preference-applied')]).toEqual([200, 'wait=5, return=minimal']);
    expect(await response.json()).toEqual({ id: location.split('/').at(-1), state: 'canceled' });
  });
});

describe('limits', () => {
  const limit = { perSecond: 10, burst: 25 };

  it('an answer says what is left of the rate, a refusal too, with the time to wait', async () => {
    const local = createLocalGate();
    let remaining = 1;
    const app = createTestApp({
      ...local.gate,
      async accept(request) {
        if (remaining === 0) {
          const error = tooFast(limit, 100, 2_500);
          request.onRate?.(error.rate);
          throw error;
        }
        remaining -= 1;
        request.onRate?.({ limit, remaining, resetSeconds: 3 });
        return local.gate.accept(request);
      },
    });
    const taken = await app.request('/tasks', jsonPost(ls));
    const refused = await app.request('/tasks', jsonPost(ls));
    for (const { headers } of [taken, refused]) {
      expect(headers.get('ratelimit-policy')).toBe('"tasks";q=25;w=3');
      expect(headers.get('ratelimit')).toBe('"tasks";r=0;t=3');
    }
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    const message = 'You may submit 10 tasks a second, and 25 at once after a rest.';
    expect(await refused.json()).toMatchObject({
      ...{ code: 'RateLimited', message, retryable: true, 'violated-policies': ['tasks'] },
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    });
    const batch = await app.request('/tasks/batch', jsonPost({ tasks: [ls] }));
    expect(await batch.json()).toMatchObject({ items: [{ status: 429, error: { retryAfterSeconds: 1 } }] });
  });

  it('are shown, with what is open in each queue', async () => {
    const local = createLocalGate();
    const app = createTestApp({ ...local.gate, rateOf: async () => ({ limit, remaining: 7, resetSeconds: 2 }) });
    const response = await app.request('/limits', { headers: asAlice });
    const body = (await response.json()) as { openTasks: { queues: unknown[] } };
    expect(body).toMatchObject({
      rate: { tasksPerSecond: 10, tasksAtOnce: 25, windowSeconds: 3, remaining: 7 },
      openTasks: { max: 20_000, perQueueMax: 200_000, perSystemMax: 400_000 },
      ...{ batchTasksMax: 1_000, requestBodyBytesMax: 65_536, resultBytesMax: 262_144, keepSeconds: 3_600 },
    });
    expect(body.openTasks.queues).toContainEqual({ lane: 'interactive', system: 'alps', open: 0 });
    expect(response.headers.get('ratelimit')).toBe('"tasks";r=7;t=2');
    expect(await (await createTestApp(local.gate).request('/limits', { headers: asAlice })).json()).toMatchObject({
      rate: null,
    });
  });
});

it('addresses of a transfer are signed anew only while its system still grants transfers', async () => {
  const { gate, tasks } = createLocalGate();
  const { id } = (await (await createTestApp(gate).request('/tasks', jsonPost(ls))).json()) as { id: string };
  const task = tasks.get(id);
  if (task !== undefined) tasks.set(id, { ...task, operation: 'transfer.download' });
  const revoked = createTestApp(gate, {
    checkAccess: async (_principal, relation, system) => {
      if (relation === 'transfer' && system === 'alps') throw new BrokerError('Forbidden', 'Not allowed');
    },
  });
  const status = async (app: typeof revoked) =>
    (await app.request(`/tasks/${id}/transfer`, { headers: asAlice })).status;
  expect([await status(revoked), await status(createTestApp(gate))]).toEqual([403, 409]);
});
