/** Every route of FirecREST honours what a client prefers, and every POST its Idempotency-Key: walked by the registry. */
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { listen } from '../../api/http/listen.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { findOperation, operationNames } from '../../shared/operations/registry.ts';
import { firecrestRequest, goodInputs } from '../system/operation-requests.ts';
import { asAlice, createLocalGate, createTestApp, jsonPost } from './api-fixture.ts';

const walked = operationNames.map((name) => {
  const input = JSON.parse(
    JSON.stringify(goodInputs[name]).replaceAll('/tmp', '/home').replaceAll('"other"', '"alps"'),
  );
  return { name, operation: findOperation(name) as Operation, input };
});
/** Those that are no bytes: these must be held. */
const plain = walked.filter(({ operation }) => operation.bytes === undefined);

function send(app: ReturnType<typeof createTestApp>, at: (typeof walked)[number], headers: Record<string, string>) {
  const { method, path, body } = firecrestRequest(at.operation, 'daint', at.input);
  if (body instanceof FormData) return app.request(path, { method, body, headers: { ...asAlice, ...headers } });
  if (body === undefined) return app.request(path, { method, headers: { ...asAlice, ...headers } });
  return app.request(path, { ...jsonPost(body, headers), method });
}

describe('what a client prefers', () => {
  it.each(plain)('is done and said by $name', async (at) => {
    const app = createTestApp(createLocalGate().gate);
    const ask = async (prefer: string) => {
      const answer = await send(app, at, { prefer });
      const { status, headers } = answer;
      const said = [status, headers.get('preference-applied'), headers.get('vary')];
      return { said, headers, body: (await answer.json()) as Record<string, unknown> };
    };
    const now = await ask('respond-async');
    expect(now.said).toEqual([202, 'respond-async', 'Prefer']);
    expect(now.headers.get('location')).toBe(`/tasks/${now.body.id}`);
    const least = await ask('respond-async, wait=1, return=minimal');
    expect(least.said).toEqual([202, 'respond-async, wait=1, return=minimal', 'Prefer']);
    expect(Object.keys(least.body)).toEqual(['id', 'state']);
    if (at.operation.firecrest.job === undefined) expect((await ask('wait=1')).said).toEqual([408, 'wait=1', 'Prefer']);
  });
});

describe('an Idempotency-Key', () => {
  const posts = walked.filter(({ operation }) => operation.firecrest.method === 'POST');

  it.each(posts.filter(({ operation }) => operation.bytes === undefined))('counts on $name', async (at) => {
    const { gate, accepted } = createLocalGate();
    const app = createTestApp(gate);
    const keyed = { prefer: 'respond-async', 'idempotency-key': 'k' };
    const replies = [await send(app, at, keyed), await send(app, at, keyed)];
    expect(replies.map(({ headers }) => headers.get('idempotency-key-reply'))).toEqual(['miss', 'hit']);
    expect(accepted).toMatchObject([{ idempotencyKey: 'k', fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
  });

  it('of an upload that outlasts its repeat is 409, with when to try again', async () => {
    const { gate } = createLocalGate();
    const path = '/home';
    const input = { path, fileName: 'x' };
    const principal = { issuer: 'https://idp', subject: 's-alice', username: 'alice', client: null };
    const held = { isHeld: true, holdMs: 0, requestId: 'r', idempotencyKey: 'k' };
    await gate.accept({ operation: 'filesystem.upload', system: 'alps', principal, input, ...held });
    const { port, close } = await listen({
      app: createTestApp(gate),
      host: '127.0.0.1',
      port: 0,
      log: pino({ level: 'silent' }),
    });
    try {
      const body = new FormData();
      body.set('file', new Blob(['x']), 'x');
      const headers = { ...asAlice, 'idempotency-key': 'k' };
      const url = `http://127.0.0.1:${port}/filesystem/alps/ops/upload?path=${path}`;
      const answer = await fetch(url, { method: 'POST', body, headers });
      expect([answer.status, answer.headers.get('retry-after'), await answer.json()]).toEqual([
        409,
        '5',
        expect.objectContaining({
          code: 'IdempotencyRunning',
          message: expect.stringMatching(/cannot be compared yet/),
        }),
      ]);
    } finally {
      await close(0);
    }
  });

  it('is described for every POST', async () => {
    const document = await createTestApp(createLocalGate().gate).request('/openapi.json');
    const { paths } = (await document.json()) as {
      paths: Record<string, { post?: { parameters?: { name: string }[] } }>;
    };
    const without = Object.entries(paths).flatMap(([path, { post }]) =>
      post === undefined || post.parameters?.some(({ name }) => name === 'Idempotency-Key') ? [] : [path],
    );
    expect(without).toEqual([]);
  });
});
