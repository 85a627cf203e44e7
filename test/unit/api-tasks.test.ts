/** The native face in-process: strict submission, polling with ETag and wait, cancel, other people's tasks. */
import { describe, expect, it } from 'vitest';
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
    [{ ...ls, webhook: 'https://x' }, 400, '/webhook', 'is not known'],
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
});
