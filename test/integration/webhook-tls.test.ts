/** Deliveries over real TLS, straight and through a proxy: the name is checked against the certificate, the address is ours. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createProxyServer, type Server } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { signedRequest } from '../../shared/webhooks/message.ts';
import { newSigningKey } from '../../shared/webhooks/signing.ts';
import { post } from '../../workers/webhooks/post.ts';

const folder = mkdtempSync(join(tmpdir(), 'goldcrest-tls-'));
const at = (name: string): string => join(folder, name);
const secret = newSigningKey('v1');
const received: { body: string; headers: Record<string, string>; host: string; servername: string }[] = [];
const asked: { authority: string; login: string }[] = [];
let ca: string;
let receiver: Server;
let proxy: Server;

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
}

beforeAll(async () => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test CA', '-days', '2');
  const names = ['-addext', 'subjectAltName=DNS:hooks.example.org'];
  openssl('req', ...key, '-keyout', 'hook.key', '-out', 'hook.csr', '-subj', '/CN=hook', ...names);
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy', '-days', '2'];
  openssl('x509', '-req', '-in', 'hook.csr', ...sign, '-out', 'hook.pem');
  ca = readFileSync(at('ca.pem'), 'utf8');
  const identity = { key: readFileSync(at('hook.key')), cert: readFileSync(at('hook.pem')) };
  receiver = createServer(identity, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { servername = '' } = request.socket as unknown as { servername?: string };
    const headers = request.headers as Record<string, string>;
    received.push({ body, headers, host: headers.host ?? '', servername });
    response.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  proxy = createProxyServer((_request, response) => void response.writeHead(405).end());
  proxy.on('connect', (request, client) => {
    asked.push({ authority: request.url ?? '', login: request.headers['proxy-authorization'] ?? '' });
    if (request.headers['proxy-authorization'] === undefined) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const upstream = connect(portOf(receiver), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [upstream, client]) socket.on('error', () => undefined); // the other end has left
  });
  proxy.listen(0, '127.0.0.1');
  await Promise.all([once(receiver, 'listening'), once(proxy, 'listening')]);
});

beforeEach(() => {
  received.length = 0;
  asked.length = 0;
});

afterAll(() => {
  for (const server of [receiver, proxy]) server?.closeAllConnections();
  receiver?.close();
  proxy?.close();
  rmSync(folder, { recursive: true });
});

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const message = { type: 'webhook.test', timestamp: new Date().toISOString(), data: {} };

function send(host: string, more: { ca?: string | null; proxy?: URL; addresses?: string[] } = {}) {
  const url = new URL(`https://${host}:${portOf(receiver)}/hook`);
  const envelope = { messageId: 'msg_1', format: 'standard' as const, keys: [secret], source: '/', now: Date.now() };
  const { addresses = ['127.0.0.1'], ...options } = more;
  return post(
    { url, addresses },
    { ...signedRequest(message, envelope), timeoutMs: 5_000, ca, proxy: null, ...options },
  );
}

const through = (login: string): URL => new URL(`http://${login}127.0.0.1:${portOf(proxy)}`);

it('a delivery over TLS names the host it is for, and the reference library takes it', async () => {
  expect((await send('hooks.example.org')).status).toBe(204);
  const [one] = received;
  expect(one).toMatchObject({ host: `hooks.example.org:${portOf(receiver)}`, servername: 'hooks.example.org' });
  expect(new Webhook(secret).verify(one?.body ?? '', one?.headers ?? {})).toMatchObject({ type: 'webhook.test' });
});

it('a certificate of nobody we trust, or for another name, ends it before a byte is sent', async () => {
  await expect(send('hooks.example.org', { ca: null })).rejects.toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  });
  await expect(send('other.example.org')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  const tunneled = { proxy: through('user:secret@') };
  await expect(send('other.example.org', tunneled)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  expect(received).toEqual([]);
});

it('through a proxy it is the address that is asked for, never the name, and TLS is with the receiver', async () => {
  // An address that exists for the proxy alone.
  const reply = await send('hooks.example.org', { proxy: through('user:s%40cret@'), addresses: ['203.0.113.7'] });
  expect(reply.status).toBe(204);
  const login = `Basic ${Buffer.from('user:s@cret').toString('base64')}`;
  expect(asked).toEqual([{ authority: `203.0.113.7:${portOf(receiver)}`, login }]);
  expect(received[0]?.servername).toBe('hooks.example.org');
  await send('hooks.example.org', { proxy: through('user:x@'), addresses: ['2001:db8::7'] });
  expect(asked[1]?.authority).toBe(`[2001:db8::7]:${portOf(receiver)}`);
});

it('a proxy that refuses is a failed attempt, and nothing goes past it', async () => {
  await expect(send('hooks.example.org', { proxy: through('') })).rejects.toThrow('the proxy answered 407');
  expect(received).toEqual([]);
});
