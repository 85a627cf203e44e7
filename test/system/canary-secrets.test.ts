/**
 * Secrets of every kind on one broker that writes down all it can: none of them is where it should not be. The same watch
 * stands over each broker that a test starts (test/leaks); here it is shown to look where something can be found.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { createStore } from '../integration/openfga-fixture.ts';
import { leakWatchOf } from '../leaks/broker-leaks.ts';
import { needlesOf } from '../leaks/known-secrets.ts';
import { type Broker, type Client, createClient, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { directivesOf } from './transfer-fixture.ts';
import { makeThings, type Things } from './users-things.ts';

const lab = inject('lab');
/** No secret: what is found by it shows that the search looks there. */
const mark = `mark-${randomBytes(6).toString('hex')}`;
const passphrase = `canary-passphrase-${randomBytes(8).toString('hex')}`;
const refusedToken = `canary${randomBytes(12).toString('hex')}`;
const hookSecret = `whsec_${randomBytes(32).toString('base64')}`;
const keyOf32Bytes = () => randomBytes(32).toString('base64');
const configured = { sealing: keyOf32Bytes(), tokens: keyOf32Bytes(), audit: keyOf32Bytes() };

let broker: Broker;
let alice: Client;
let bob: Client;
let own: OwnDirectory;
let things: Things;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  const store = await createStore(lab.openfga);
  const privateKey = join(lab.folder, `${mark}-ca`);
  copyFileSync(lab.sshd.userCa.privateKeyPath, privateKey);
  chmodSync(privateKey, 0o600);
  await runCommand('ssh-keygen', ['-p', '-q', '-P', '', '-N', passphrase, '-f', privateKey]);
  const passphraseFile = join(lab.folder, `${mark}-passphrase`);
  writeFileSync(passphraseFile, passphrase);
  broker = await startBroker(lab, {
    s3: lab.s3,
    goldcrest: {
      audit: { directory: join(lab.folder, `${mark}-audit`), key: configured.audit },
      tokens: { sealing_keys: [{ id: 't', key: configured.tokens }] },
      webhooks: {
        sealing_keys: [{ id: 'k', key: configured.sealing }],
        allow_http: true,
        allowed_networks: ['127.0.0.1/32'],
        ports: [18_080],
      },
      ssh_credentials: {
        type: 'UserCA',
        private_key: `secret_file:${privateKey}`,
        passphrase: `secret_file:${passphraseFile}`,
      },
      authorization: {
        url: lab.openfga.apiUrl,
        store_id: store.storeId,
        model_id: store.modelId,
        api_token: lab.openfga.apiToken,
      },
      log: { level: 'trace' },
    },
  });
  for (const name of ['alice', 'bob']) {
    await store.grant(`service_client:${name}`, 'preset_full', 'system:lab', {});
    tokens[name] = await requestToken(lab.oidc, name);
  }
  alice = createClient(broker.url, tokens.alice ?? '');
  bob = createClient(broker.url, tokens.bob ?? '');
  own = homeDirectory(userNamed(lab.users, 'alice'));
  things = await makeThings(alice, own, mark, hookSecret);
});

afterAll(async () => {
  await alice?.delete(`/compute/lab/jobs/${things?.ids.compute?.job_id}`);
  own?.remove();
  await broker?.stop();
});

/** All that was made, as it is shown later. */
async function laterAnswers(): Promise<string> {
  const { tasks, webhooks, watches, compute, transfer } = things.ids;
  const ofOne = [
    `/tasks/${tasks?.id}`,
    `/tasks/${transfer?.id}`,
    `/webhooks/${webhooks?.id}`,
    `/watches/${watches?.id}`,
  ];
  const parts = [`/webhooks/${webhooks?.id}/deliveries`, `/compute/lab/jobs/${compute?.job_id}`];
  const lists = [
    '/tasks',
    '/webhooks',
    '/watches',
    '/audit?limit=200',
    '/status/systems',
    '/compute/lab/jobs',
    '/limits',
  ];
  const answers = [];
  for (const who of [alice, bob]) {
    for (const path of [...ofOne, ...parts, ...lists]) answers.push(await who.get(path));
  }
  return answers.map(({ text, headers }) => JSON.stringify([...headers]) + text).join('\n');
}

it('no secret is in Redis, in a log, in an audit record, in an answer or on a command line', async () => {
  for (const refused of [refusedToken, `${refusedToken}.${refusedToken}.${refusedToken}`]) {
    expect((await createClient(broker.url, refused).get('/tasks?limit=1')).status).toBe(401);
  }
  const later = await laterAnswers();
  const watch = leakWatchOf(broker.url);
  if (watch === undefined) throw new Error('nobody watches this broker');
  // The search itself: what is no secret is found in each place.
  const all = async (place: Parameters<typeof watch.contents>[0]) =>
    (await watch.contents(place)).map(([, text]) => text).join('\n');
  const text = {
    Redis: await all('Redis'),
    logs: await all('the logs'),
    answers: await all('answers'),
    lines: await all('command lines'),
  };
  expect(text.Redis).toContain(mark);
  expect(text.logs).toContain(things.ids.tasks?.id);
  expect(text.logs).toContain(mark);
  expect(text.answers).toContain(mark);
  expect(text.lines).toContain('workers/main.js');
  expect(await watch.search()).toEqual([]);
  // What the watch goes by: each kind of secret that was planted is among what it looks for, by what it would find.
  const [signature] = [
    new URL(directivesOf(things.upload).partsUploadUrls[0] ?? '').searchParams.get('X-Amz-Signature'),
  ];
  const planted = {
    ...{ 'token of alice': tokens.alice, 'token of bob': tokens.bob, 'a token that is none': refusedToken },
    ...{ 'sealing key': configured.sealing, 'key that seals tokens': configured.tokens, 'audit key': configured.audit },
    ...{ 'S3 secret': lab.s3.secretAccessKey, 'OpenFGA key': lab.openfga.apiToken, 'passphrase of the CA': passphrase },
    ...{ 'secret of a task': hookSecret.replace('whsec_', ''), 'signature of an upload': signature },
    ...{ 'secret of a webhook': String(things.webhook.body.secret).replace('whsec_', '') },
    ...{ ticket: String(things.ticket.body.ticket), 'client secret': lab.oidc.clients.alice?.clientSecret },
  };
  for (const [title, secret] of Object.entries(planted)) {
    const needles = needlesOf(String(secret));
    expect([title, needles.every((needle) => watch.knows(needle))]).toEqual([title, true]);
    // Where it was handed out is the one place for it.
    for (const needle of needles) expect([title, later.includes(needle)]).toEqual([title, false]);
  }
});
