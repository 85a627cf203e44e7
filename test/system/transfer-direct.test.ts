/** Copies between systems whose stores are apart: through the source's, or straight into the target's where it is said to be reached. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { type StoreFaultProxy, startStoreFaultProxy } from '../chaos/store-fault-proxy.ts';
import { type Broker, type Client, clientOf, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

const lab = inject('lab');
const content = randomBytes(7 * 2 ** 20 + 7);
/** By the name of an address: which methods came to it with bytes. */
const seen = new Map<string, string[]>();
const proxies: StoreFaultProxy[] = [];
let broker: Broker;
let client: Client;
let own: OwnDirectory;

/** An address of the store that notes who comes with signed addresses. */
async function addressOf(name: string): Promise<string> {
  const proxy = await startStoreFaultProxy(lab.s3.endpoint);
  proxies.push(proxy);
  seen.set(name, []);
  proxy.add(({ method, query }) => {
    if (query.has('X-Amz-Signature')) seen.get(name)?.push(method);
    return undefined;
  });
  return proxy.url;
}

beforeAll(async () => {
  const store = async (name: string) => ({
    ...{ service_type: 's3', name, region: lab.s3.region, ttl: 600 },
    ...{ access_key_id: lab.s3.accessKeyId, secret_access_key: lab.s3.secretAccessKey },
    private_url: await addressOf(`${name} private`),
    public_url: await addressOf(`${name} public`),
  });
  const [near, far] = [await store('near'), await store('far')];
  const system = (name: string, dataTransfer: object, transfers: object) => ({
    ...{ name, sshd: lab.sshd, section: { transfers } },
    cluster: { data_operation: { data_transfer: dataTransfer } },
  });
  broker = await startBroker(lab, {
    scheduler: 'process',
    otherSystems: [
      system('plain', near, { bucket_prefix: 'near-' }),
      system('direct', near, { bucket_prefix: 'near-', direct_to: ['target'] }),
      system('target', far, { bucket_prefix: 'far-' }),
    ],
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(userNamed(lab.users, 'alice'));
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
});

it.each([
  ['plain', { 'near private': ['PUT'], 'near public': ['GET'], 'far private': [], 'far public': [] }],
  ['direct', { 'near private': [], 'near public': [], 'far private': ['GET'], 'far public': ['PUT'] }],
])('from the system %s the bytes take the way that its configuration says', async (from, ways) => {
  for (const methods of seen.values()) methods.length = 0;
  const [path, targetPath] = [join(own.path, `source ${from}`), join(own.path, `target ${from}`)];
  writeFileSync(path, content);
  own.giveAway();
  const input = { path, targetSystem: 'target', targetPath };
  const accepted = await client.post('/tasks', { operation: 'transfer.copy', system: from, input });
  expect(accepted.status, accepted.text).toBe(202);
  const end = await taskEnd(client, `/tasks/${accepted.body.id}`);
  expect(end.state, JSON.stringify(end.error)).toBe('completed');
  expect(readFileSync(targetPath).equals(content)).toBe(true);
  const came = Object.fromEntries([...seen].map(([name, methods]) => [name, [...new Set(methods)]]));
  expect(came).toEqual(ways);
});
