/** Requests forged through webhooks: where none may go, by whatever spelling, name or answer of a DNS server. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { admitTarget, isAddressAllowed, type TargetRules } from '../../shared/webhooks/target-rules.ts';
import { post } from '../../workers/webhooks/post.ts';
import { createSsrfGuard } from '../../workers/webhooks/ssrf-guard.ts';
import { type LyingDns, startLyingDns } from './lying-dns.ts';

const rules: TargetRules = { allowHttp: false, ports: [443], networks: [] };
/** So that the rule under test is the one that refuses, and not the scheme. */
const lax: TargetRules = { allowHttp: true, ports: [80, 443], networks: [] };

const hostile = [
  // loopback, in every spelling
  'https://127.0.0.1/',
  'https://127.1/',
  'https://127.0.1/',
  'https://127.255.255.254/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0x7f.0.0.1/',
  'https://0177.0.0.1/',
  'https://017700000001/',
  'https://0x7f.1/',
  'https://127.0.0.1./',
  'https://%31%32%37.0.0.1/',
  'https://[::1]/',
  'https://[0:0:0:0:0:0:0:1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::127.0.0.1]/',
  'https://localhost/',
  'https://LOCALHOST/',
  'https://localhost./',
  'https://any.localhost/',
  // unspecified and broadcast
  'https://0.0.0.0/',
  'https://0/',
  'https://0.1.2.3/',
  'https://[::]/',
  'https://255.255.255.255/',
  // private networks
  'https://10.0.0.1/',
  'https://10.255.255.255/',
  'https://012.1.2.3/',
  'https://172.16.0.1/',
  'https://172.31.255.254/',
  'https://192.168.0.1/',
  'https://0xc0a80001/',
  'https://3232235521/',
  'https://[::ffff:10.0.0.1]/',
  'https://[fc00::1]/',
  'https://[fd12:3456:789a::1]/',
  'https://[fec0::1]/',
  // carriers, tests, protocols
  'https://100.64.0.1/',
  'https://100.127.255.254/',
  'https://192.0.0.192/',
  'https://192.0.2.1/',
  'https://198.18.0.1/',
  'https://198.51.100.1/',
  'https://203.0.113.1/',
  'https://224.0.0.1/',
  'https://240.0.0.1/',
  'https://[2001:db8::1]/',
  'https://[ff02::1]/',
  'https://[100::1]/',
  // metadata of clouds
  'https://169.254.169.254/latest/meta-data/',
  'https://2852039166/',
  'https://0xa9fea9fe/',
  'https://0251.0376.0251.0376/',
  'https://169.254.170.2/',
  'https://100.100.100.200/',
  'https://168.63.129.16/',
  'https://[fe80::1]/',
  'https://[fe80::a9fe:a9fe]/',
  'https://[fd00:ec2::254]/',
  'https://[::ffff:169.254.169.254]/',
  'https://metadata.google.internal/',
  'https://metadata/',
  // IPv4 wrapped in IPv6
  'https://[64:ff9b::7f00:1]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[64:ff9b:1::a00:1]/',
  'https://[2002:7f00:1::]/',
  'https://[2002:a9fe:a9fe::1]/',
  'https://[2001:0:7f00:1::]/',
  'https://[::ffff:0:127.0.0.1]/',
  // names of what is near
  'https://redis/',
  'https://redis:443/',
  'https://printer.local/',
  'https://router.lan/',
  'https://db.corp/',
  'https://kubernetes.default.svc.cluster.local/',
  // not a webhook at all
  'https://user:pass@example.org/',
  'https://example.org@127.0.0.1/',
  'https://127.0.0.1#@example.org/',
  'https://example.org/#fragment',
  'https://example.org\\@127.0.0.1/',
  'https://exam ple.org/',
  'https://example.org/\t',
  'https://①②⑦.0.0.1/',
  'https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/',
  'https://example.org:22/',
  'https://example.org:6379/',
  'https://example.org:0/',
  'https://example.org:99999/',
  'ftp://example.org/',
  'file:///etc/passwd',
  'gopher://127.0.0.1:6379/_FLUSHALL',
  'unix:/var/run/docker.sock',
  'data:text/plain,x',
  'javascript:alert(1)',
  '//example.org/',
  '/etc/passwd',
  'https://',
  '',
  `https://example.org/${'x'.repeat(2_048)}`,
];

describe('the address of a webhook', () => {
  it('is tried with at least sixty hostile ones', () => {
    expect(new Set(hostile).size).toBeGreaterThanOrEqual(60);
  });

  it.each(hostile)('%s is refused, by what it is and not by its scheme', (url) => {
    expect(() => admitTarget(url, lax)).toThrow(expect.objectContaining({ code: 'WebhookNotAllowed' }));
  });

  it.each([
    'https://example.org/',
    'https://example.org/hook?x=1&y=%20',
    'https://8.8.8.8/',
    'https://[2606:4700::1111]/',
  ])('%s is allowed', (url) => {
    expect(admitTarget(url, rules).href).toBe(url);
  });

  it('is https unless the configuration says otherwise, on a port of the list', () => {
    expect(() => admitTarget('http://example.org/', rules)).toThrow('must begin with https://');
    expect(admitTarget('http://example.org/', lax).protocol).toBe('http:');
    expect(() => admitTarget('https://example.org:8443/', rules)).toThrow('must use one of the ports 443, not 8443');
    expect(admitTarget('https://example.org:8443/', { ...rules, ports: [8443] }).port).toBe('8443');
  });

  it('may be in a network that the configuration opens, and only there', () => {
    const open = ['10.1.0.0/16', 'fd00:1::/32'];
    expect(isAddressAllowed('10.1.2.3', open)).toBe(true);
    expect(isAddressAllowed('::ffff:10.1.2.3', open)).toBe(true);
    expect(isAddressAllowed('fd00:1::5', open)).toBe(true);
    expect(isAddressAllowed('10.2.0.1', open)).toBe(false);
    expect(isAddressAllowed('fe80::1%eth0', ['fe80::/10'])).toBe(false);
    expect(isAddressAllowed('127.0.0.1', open)).toBe(false);
  });
});

describe('a name that is resolved', () => {
  let dns: LyingDns | undefined;
  afterEach(() => {
    dns?.close();
    dns = undefined;
  });
  const guardOf = async (answer: (name: string, time: number) => string[], over: Partial<TargetRules> = {}) => {
    dns = await startLyingDns(answer);
    return createSsrfGuard({ ...rules, dnsServers: [dns.server], ...over });
  };

  it.each([
    ['loopback', ['127.0.0.1']],
    ['a private address', ['10.0.0.5']],
    ['the metadata of a cloud', ['169.254.169.254']],
    ['IPv6 loopback', ['::1']],
    ['mapped loopback', ['::ffff:127.0.0.1']],
    ['NAT64 of a private address', ['64:ff9b::a00:1']],
    ['one private address among public ones', ['8.8.8.8', '192.168.1.1', '1.1.1.1']],
    ['a public IPv4 and a private IPv6 address', ['8.8.8.8', 'fd00::1']],
    ['more addresses than anybody needs', Array.from({ length: 17 }, (_, n) => `8.8.4.${n + 1}`)],
  ])('to %s is refused', async (_title, addresses) => {
    const guard = await guardOf(() => addresses);
    await expect(guard.admit('https://rebind.example.org/')).rejects.toMatchObject({ code: 'WebhookNotAllowed' });
  });

  it('to public addresses is allowed, with the addresses to connect to', async () => {
    const guard = await guardOf(() => ['8.8.8.8', '2606:4700::1111']);
    expect((await guard.admit('https://hook.example.org/')).addresses).toEqual(['8.8.8.8', '2606:4700::1111']);
  });

  it('to nothing is an error of the look-up', async () => {
    const guard = await guardOf(() => []);
    await expect(guard.admit('https://hook.example.org/')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  it('is connected to where it was looked at, though the next answer would be another', async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.socket.localAddress} ${request.headers.host}`);
      response.end();
    }).listen(0, '127.0.0.2');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const over = { allowHttp: true, ports: [port], networks: ['127.0.0.2/32'] };
    const guard = await guardOf((_name, time) => [time === 1 ? '127.0.0.2' : '127.0.0.1'], over);
    const target = await guard.admit(`http://rebind.example.org:${port}/hook`);
    expect(await post(target, { headers: {}, body: '{}', timeoutMs: 5_000, ca: null, proxy: null })).toMatchObject({
      status: 200,
    });
    expect(seen).toEqual([`127.0.0.2 rebind.example.org:${port}`]);
    expect(dns?.asked.filter((question) => question.startsWith('A '))).toHaveLength(1);
    await expect(guard.admit(`http://rebind.example.org:${port}/hook`)).rejects.toMatchObject({
      code: 'WebhookNotAllowed',
    });
    server.close();
  });
});

describe('what a receiver answers', () => {
  const ask = async (answer: (request: IncomingMessage, response: ServerResponse) => void, timeoutMs = 5_000) => {
    const server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = new URL(`http://hook.example.org:${port}/`);
    try {
      return await post(
        { url, addresses: ['127.0.0.1'] },
        { headers: {}, body: '{}', timeoutMs, ca: null, proxy: null },
      );
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  it('is not followed where it redirects', async () => {
    let requests = 0;
    const reply = await ask((_request, response) => {
      requests += 1;
      response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    });
    expect([reply.status, requests]).toEqual([302, 1]);
  });

  it('is read to a bound', async () => {
    let sentBytes = 0;
    const reply = await ask((_request, response) => {
      const fill = (): void => {
        if (response.destroyed) return;
        sentBytes += 65_536;
        response.write(Buffer.alloc(65_536), fill);
      };
      fill();
    });
    expect(reply.status).toBe(200);
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });

  it('must come in time', async () => {
    await expect(ask(() => {}, 100)).rejects.toThrow('no reply within 100 ms');
  });

  it('may say when to come back, in seconds or as a date', async () => {
    const asksFor = (value: string) =>
      ask((_request, response) => response.writeHead(503, { 'retry-after': value }).end());
    expect((await asksFor('120')).retryAfterMs).toBe(120_000);
    expect((await asksFor(new Date(Date.now() + 60_000).toUTCString())).retryAfterMs).toBeGreaterThan(50_000);
    expect((await asksFor('soon')).retryAfterMs).toBeNull();
  });

  it('comes from another of its addresses where the first takes no connection', async () => {
    const server = createServer((_request, response) => response.end()).listen(0, '127.0.0.3');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = new URL(`http://hook.example.org:${port}/`);
    const target = { url, addresses: ['127.0.0.2', '127.0.0.3'] };
    expect(await post(target, { headers: {}, body: '', timeoutMs: 5_000, ca: null, proxy: null })).toMatchObject({
      status: 200,
    });
    server.close();
  });
});
