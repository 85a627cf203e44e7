/**
 * The way to a receiver through an egress proxy: CONNECT (RFC 9110, section 9.3.6) to the address that the guard admitted,
 * never to a name, so that the proxy resolves nothing and what was looked at is what is reached.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';

const headerBytesMax = 16 * 1024;

/** A connection to the address behind the proxy. Rejects where the proxy does not make one; `signal` ends the wait. */
export function openTunnel(proxy: URL, address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const authority = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const { username, password } = proxy;
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
    host: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port),
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...(username === '' ? {} : { 'proxy-authorization': `Basic ${login}` }) },
    agent: false,
    maxHeaderSize: headerBytesMax,
    signal,
  });
  return new Promise((resolve, reject) => {
    request.on('connect', (reply, socket: Socket) => {
      if (reply.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy answered ${reply.statusCode}`));
    });
    request.on('response', (reply) => {
      reply.destroy();
      reject(new Error(`the proxy answered ${reply.statusCode}`));
    });
    request.on('error', reject);
    request.end();
  });
}
