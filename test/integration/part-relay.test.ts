/** A part on its way from a real cluster into a real store: what arrived is known to be what was sent, or it is told. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Secret } from '../../shared/platform/secret.ts';
import { createStaging, type Staging } from '../../shared/staging/staging.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';
import type { RemoteShell } from '../../workers/ssh/remote-shell.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { sendPart } from '../../workers/transfers/part-relay.ts';
import { wayInto } from '../../workers/transfers/way-in.ts';
import { type StoreFaultProxy, startStoreFaultProxy } from '../chaos/store-fault-proxy.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';
import { stagingConfig } from './staging-config.ts';

const lab = inject('lab');
const mebi = 2 ** 20;
const content = randomBytes(6 * mebi + 7);
/** Of the user's home. */
const work = `.goldcrest-test-${randomUUID()}`;
const bucket = `test-${randomUUID()}`;
const proxies: StoreFaultProxy[] = [];
const stagings: Staging[] = [];
let ssh: Ssh;
let shell: RemoteShell;
let path: string;

beforeAll(async () => {
  ssh = sshTo(systemOptions(lab.sshd), labUserCa(lab));
  shell = ssh.shell('lab', 'gcalice');
  const script = 'mkdir -- "$1" && cd -- "$1" && : >ready && cat >file && pwd';
  const { stdout } = await shell.run(['sh', '-c', script, 'sh', work], { stdin: content });
  path = `${stdout.toString().trim()}/file`;
});

afterAll(async () => {
  await shell?.run(['rm', '-rf', '--', work]);
  await ssh?.close();
  for (const staging of stagings) staging.close();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
});

/** `isCareless`: the store takes the body that is not what was signed; a proxy before the real one says so. */
async function openStore(
  isCareless: boolean,
): Promise<{ staging: Staging; staged: StagedFile; proxy: StoreFaultProxy }> {
  const proxy = await startStoreFaultProxy(lab.s3.endpoint);
  proxies.push(proxy);
  const staging = createStaging(stagingConfig(lab.s3, { privateUrl: new Secret(proxy.url) }));
  stagings.push(staging);
  proxy.add(({ path: at, method }) =>
    isCareless && method === 'PUT' && at.endsWith('/probe') ? { kind: 'answer', status: 200, code: '' } : undefined,
  );
  await staging.prepareBucket(bucket);
  const object = { bucket, key: `${randomUUID()}/file` };
  const uploadId = await staging.beginUpload(object);
  const parts = { sizeBytes: content.length, partSizeBytes: 5 * mebi, partsCount: 2 };
  return { staging, proxy, staged: { ...object, uploadId, ...parts } };
}

describe.each([
  ['holds parts against their SHA-256', false, 'sha256'],
  ['looks at no digest', true, 'md5'],
] as const)('into a store that %s', (_what, isCareless, algorithm) => {
  it('a part comes as it is, and one of which a byte flips on the way is told', async () => {
    const { staging, staged, proxy } = await openStore(isCareless);
    const range = { path, number: 0, offsetBytes: 0, sizeBytes: 5 * mebi };
    const rest = { path, number: 1, offsetBytes: 5 * mebi, sizeBytes: mebi + 7 };
    proxy.add(({ query, time }) =>
      query.get('partNumber') === '1' && time === 1 ? { kind: 'flip', atByte: 5 } : undefined,
    );
    const ways = await Promise.all([range, rest].map((each) => wayInto(staged, each, staging)));
    expect(ways.map((way) => way.algorithm)).toEqual([algorithm, algorithm]);
    let passed = 0;
    const relay = { shell, signal: new AbortController().signal, onBytes: (count: number) => (passed += count) };
    const send = async (each: typeof range) => sendPart(each, await wayInto(staged, each, staging), work, relay);
    await expect(send(range)).rejects.toMatchObject({
      code: 'StagingUnavailable',
      message: 'The store has not what was sent.',
    });
    const etags = [await send(range), await send(rest)].map((part) => part?.etag ?? '');
    const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex');
    expect(etags).toEqual([md5(content.subarray(0, 5 * mebi)), md5(content.subarray(5 * mebi))]);
    expect(passed).toBe(content.length + 5 * mebi);
    await staging.completeUpload(staged, etags);
    const got = Buffer.from(await (await fetch(await staging.signDownload(staged, 'cluster'))).arrayBuffer());
    expect(got.equals(content)).toBe(true);
    await staging.removeObject(staged);
  });
});

/** A host on which this shell program is what Python is. */
async function shellWithPython(program: string): Promise<RemoteShell> {
  const script =
    'cd -- "$1" && mkdir "$3" && { echo "#!/bin/sh"; echo "$2"; } >"$3/python3" && chmod 755 "$3/python3" && pwd';
  const bin = randomUUID();
  const { stdout } = await shell.run(['sh', '-c', script, 'sh', work, program, bin]);
  const env = { PATH: `${stdout.toString().trim()}/${bin}:/usr/bin:/bin` };
  return { run: (argv, options) => shell.run(argv, { ...options, env }) };
}

it('a part that takes long to read is known to be read', async () => {
  const { staging, staged } = await openStore(false);
  const counts: number[] = [];
  const relay = {
    shell: await shellWithPython('printf "  "; exec /usr/bin/python3 "$@"'),
    signal: new AbortController().signal,
    onBytes: (count: number) => counts.push(count),
  };
  const range = { path, number: 0, offsetBytes: 0, sizeBytes: mebi };
  expect(await sendPart(range, await wayInto(staged, range, staging), work, relay)).not.toBeNull();
  expect(counts[0]).toBe(0);
  expect(counts.reduce((sum, count) => sum + count)).toBe(mebi);
  await staging.abortUploads(staged);
});

it.concurrent.each([
  ['words', 'echo Welcome to the cluster', /no digest/],
  ['what switches the check off', 'echo UNSIGNED-PAYLOAD', /no digest/],
  ['bytes without end', 'cat /dev/zero', /no digest/],
  ['spaces without end', 'tr "\\0" " " </dev/zero', /no digest/],
  ['more bytes than the part has', 'printf "%064d\\n" 0; cat /dev/zero', /more than the part/],
])('a cluster that says %s is given up, and nothing of that reaches the store', async (_what, program, reason) => {
  const { staging, staged } = await openStore(false);
  let passed = 0;
  const relay = {
    shell: await shellWithPython(program),
    signal: new AbortController().signal,
    onBytes: (count: number) => (passed += count),
  };
  const range = { path, number: 0, offsetBytes: 0, sizeBytes: mebi };
  const sending = sendPart(range, await wayInto(staged, range, staging), work, relay);
  await expect(sending).rejects.toMatchObject({ code: 'TransferFailed', message: expect.stringMatching(reason) });
  expect(passed).toBeLessThanOrEqual(mebi);
  await staging.abortUploads(staged);
});
