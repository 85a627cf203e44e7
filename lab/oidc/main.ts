/**
 * The OIDC issuer as a process of its own: reads its settings from the JSON file named on the command line, serves
 * until it is stopped. `POST /lab/rotate-keys` (`?keep=no` forgets the old keys at once) changes the signing keys;
 * `GET /lab/tokens?after=N` answers how many tokens were given out, and with those after the first N.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createIssuer, type IssuerOptions } from './issuer.ts';

interface Settings extends IssuerOptions {
  port: number;
}

async function main(settingsFile: string): Promise<void> {
  const settings = JSON.parse(readFileSync(settingsFile, 'utf8')) as Settings;
  const issuer = await createIssuer(settings);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', settings.issuer);
    if (request.method === 'GET' && url.pathname === '/lab/tokens') {
      const issued = JSON.stringify(issuer.issued(Number(url.searchParams.get('after'))));
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(issued);
    }
    if (request.method !== 'POST' || url.pathname !== '/lab/rotate-keys') return issuer.handle(request, response);
    issuer.rotateKeys(url.searchParams.get('keep') !== 'no').then(
      () => response.writeHead(204).end(),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(settings.port, '127.0.0.1');
}

await main(process.argv[2] ?? '');
