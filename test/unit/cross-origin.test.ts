/** What a browser lets pages of other origins do with the API. */
import { describe, expect, it } from 'vitest';
import { asAlice, createLocalGate, createTestApp } from './api-fixture.ts';

const portal = 'https://portal.example.org';
const preflight = (origin: string) => ({
  method: 'OPTIONS',
  headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
});
const corsHeaders = (response: Response) =>
  [...response.headers.keys()].filter((name) => name.startsWith('access-control'));

describe('pages of other origins', () => {
  it('may do nothing where none is configured', async () => {
    const app = createTestApp(createLocalGate().gate);
    const asked = await app.request('/tasks', preflight(portal));
    expect([asked.status, corsHeaders(asked)]).toEqual([405, []]);
    const answer = await app.request('/tasks', { headers: { ...asAlice, origin: portal } });
    expect([answer.status, corsHeaders(answer)]).toEqual([200, []]);
  });

  it('may call the API where theirs is, without cookies, and see its errors', async () => {
    const app = createTestApp(createLocalGate().gate, {}, { corsOrigins: [portal] });
    const asked = await app.request('/tasks', preflight(portal));
    expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, portal]);
    expect(asked.headers.get('access-control-allow-headers')).toBe('authorization');
    for (const headers of [{ ...asAlice, origin: portal }, { origin: portal }]) {
      const answer = await app.request('/tasks', { headers });
      expect(answer.headers.get('access-control-allow-origin')).toBe(portal);
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    }
  });

  it('may do nothing where another one is', async () => {
    const app = createTestApp(createLocalGate().gate, {}, { corsOrigins: [portal] });
    const evil = 'https://portal.example.org.evil.example';
    for (const request of [preflight(evil), { headers: { ...asAlice, origin: evil } }]) {
      expect((await app.request('/tasks', request)).headers.get('access-control-allow-origin')).toBeNull();
    }
  });
});
