/** What the API tells of itself to people and programs: the page /docs, and whose tokens it takes (RFC 9728). */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { docsPage } from '../../api/openapi/docs-page.ts';
import { operations } from '../../shared/operations/registry.ts';
import { createLocalGate, createTestApp } from './api-fixture.ts';

const { gate } = createLocalGate();
const app = createTestApp(gate);

describe('/docs', () => {
  it('shows every operation, open to everyone', async () => {
    const response = await app.request('/docs');
    const page = await response.text();
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    for (const { firecrest, summary } of Object.values(operations)) {
      expect(page).toContain(`<b>${firecrest.method}</b> <code>${firecrest.path}</code> ${summary}`);
    }
  });

  it('says of every group of routes what it is for', async () => {
    const { tags, paths } = (await (await app.request('/openapi.json')).json()) as {
      tags: { name: string; description: string }[];
      paths: Record<string, Record<string, { tags: string[] }>>;
    };
    const used = Object.values(paths).flatMap((item) => Object.values(item).flatMap((operation) => operation.tags));
    expect(new Set(used)).toEqual(new Set(tags.map(({ name }) => name)));
    const page = await (await app.request('/docs')).text();
    for (const { name, description } of tags) expect(page).toContain(`<h2>${name}</h2>\n<p>${description}.</p>`);
  });

  it('loads nothing and runs nothing; its one style is the one that its policy names', async () => {
    const response = await app.request('/docs');
    const page = await response.text();
    expect(page).not.toMatch(/<(?:script|link|img|iframe|object|embed)|@import|url\(/i);
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
    const hash = createHash('sha256').update(style).digest('base64');
    expect(response.headers.get('content-security-policy')).toContain(
      `default-src 'none'; style-src 'sha256-${hash}';`,
    );
  });

  it('writes whatever a document says as text', () => {
    const hostile = '<script>alert(1)</script>"\'&';
    const operation = { operationId: hostile, summary: hostile, tags: [hostile], responses: {} };
    const page = docsPage({
      info: { title: hostile, version: hostile, description: hostile },
      paths: { [hostile]: { get: operation } },
      components: { schemas: { [hostile]: { description: hostile } } },
    });
    expect(page).not.toContain('<script');
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;');
  });
});

describe('protected resource metadata (RFC 9728)', () => {
  const at = (publicUrl: string | null) => createTestApp(gate, {}, { publicUrl });

  it('names the API, the issuers and their scopes', async () => {
    const response = await at('https://hpc.example').request('/.well-known/oauth-protected-resource');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({
      resource: 'https://hpc.example',
      authorization_servers: ['https://idp'],
      scopes_supported: ['jobs'],
      bearer_methods_supported: ['header'],
      resource_name: 'Goldcrest',
      resource_documentation: 'https://hpc.example/docs',
    });
  });

  it('stands before the path of an API that has one', async () => {
    const behindGateway = at('https://hpc.example/FirecREST/v2');
    const challenge = (await behindGateway.request('/status/systems')).headers.get('www-authenticate');
    const url = 'https://hpc.example/.well-known/oauth-protected-resource/FirecREST/v2';
    expect(challenge).toBe(`Bearer resource_metadata="${url}"`);
    const metadata = await behindGateway.request(new URL(url).pathname);
    expect(await metadata.json()).toMatchObject({ resource: 'https://hpc.example/FirecREST/v2' });
  });

  it("a 401 tells where it is and keeps FirecREST's body", async () => {
    const response = await at('https://hpc.example').request('/status/systems', {
      headers: { authorization: 'Bearer nobody' },
    });
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer error="invalid_token", error_description="Access token is invalid.", ' +
        'resource_metadata="https://hpc.example/.well-known/oauth-protected-resource"',
    );
    const body = { errorType: 'error', message: 'Access token is invalid.', causedBy: null, data: null, user: null };
    expect([response.status, await response.json()]).toMatchObject([401, body]);
  });

  it('is not told where the public address is not known, since a Host header is only what the caller says', async () => {
    expect((await app.request('/.well-known/oauth-protected-resource')).status).toBe(404);
    expect((await app.request('/status/systems')).headers.get('www-authenticate')).toBe('Bearer');
  });
});
