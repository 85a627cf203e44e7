/**
 * A service that gives SSH credentials for an access token, in the two forms that FirecREST v2 asks for: certificates
 * for a key that is sent (`POST /sign`), and keys with their certificates (`POST /api/v1/ssh-keys`). ssh-keygen signs.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { OidcFacts } from './oidc/token-client.ts';
import { runCommand } from './run-command.ts';
import { signUserKey } from './user-certificate.ts';

/** What the next certificates say; by default five minutes for the user of the token. */
export interface CertificateWish {
  principal?: string;
  /** ssh-keygen's `-V`. */
  validity?: string;
}

/** One request as it came. */
export interface SeenRequest {
  path: string;
  headers: IncomingMessage['headers'];
  body: Record<string, string>;
}

export interface CredentialServicePart {
  url: string;
  readonly seen: SeenRequest[];
  /** Of the certificates from now on. */
  wish: CertificateWish;
  /** Takes the place of one answer each, in order. */
  readonly faults: ((response: ServerResponse) => void)[];
  stop(): Promise<void>;
}

export interface CredentialServiceOptions {
  folder: string;
  caPrivateKeyPath: string;
  oidc: OidcFacts;
}

/** Starts on a free port. A token that the issuer did not sign for its audience is answered with 403. */
export async function startCredentialService(options: CredentialServiceOptions): Promise<CredentialServicePart> {
  const { oidc } = options;
  const keys = createRemoteJWKSet(new URL(oidc.jwksUri));
  const seen: SeenRequest[] = [];
  const faults: CredentialServicePart['faults'] = [];

  const usernameOf = async (token: string): Promise<string> => {
    const { payload } = await jwtVerify(token, keys, { issuer: oidc.issuer, audience: oidc.audience });
    return String(payload.preferred_username);
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = JSON.parse(await readText(request)) as Record<string, string>;
    seen.push({ path: request.url ?? '', headers: request.headers, body });
    const fault = faults.shift();
    if (fault !== undefined) {
      fault(response);
      return;
    }
    const isCa = request.url === '/sign';
    const token = isCa ? body.OTT : request.headers.authorization?.replace(/^Bearer /, '');
    const username = await usernameOf(token ?? '').catch(() => null);
    if (username === null || (!isCa && username !== body.username)) {
      response.writeHead(403).end('no');
      return;
    }
    const folder = mkdtempSync(join(options.folder, 'credential-'));
    const path = join(folder, 'key');
    if (isCa) writeFileSync(`${path}.pub`, `${body.PublicKey}\n`);
    else await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path]);
    const { principal = username, validity } = part.wish;
    const certificate = readFileSync(
      await signUserKey(options.caPrivateKeyPath, {
        publicKeyPath: `${path}.pub`,
        principals: [principal],
        ...(validity === undefined ? {} : { validity }),
      }),
      'utf8',
    );
    if (isCa) response.writeHead(200, { 'content-type': 'text/plain' }).end(certificate);
    else {
      const sshKey = { privateKey: readFileSync(path, 'utf8').trim(), publicKey: certificate.trim() };
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ sshKey }));
    }
  };

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const part: CredentialServicePart = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ seen, faults },
    wish: {},
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return part;
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
