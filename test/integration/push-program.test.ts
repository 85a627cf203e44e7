/** The program that sends parts, run here against a real S3 server, with the tools that a host may have or lack. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createStaging, type StagedUpload, type Staging } from '../../shared/staging/staging.ts';
import { pushProgram } from '../../workers/transfers/push-program.ts';
import { hosts } from './host-tools.ts';
import { runProgram } from './mover-program.ts';
import { stagingConfig } from './staging-config.ts';

const mebi = 2 ** 20;
const partBytes = 5 * mebi;
const content = randomBytes(3 * partBytes + 7);
const sums = [0, 1, 2, 3].map((at) => digest('md5', content.subarray(at * partBytes, (at + 1) * partBytes)));
const parts = (etags: readonly string[]) => etags.map((etag, number) => `part ${number} ${etag}`).sort();

let staging: Staging;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'goldcrest-push-'));
  staging = createStaging(stagingConfig(inject('lab').s3));
});

afterAll(() => {
  staging?.close();
  rmSync(folder, { recursive: true, force: true });
});

function digest(algorithm: 'md5' | 'sha256', bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

interface Run {
  tools: string;
  bytes?: Buffer;
  /** Parts that an earlier run is said to have sent, with their ETags. */
  before?: readonly string[];
  /** Seconds by which the file is said to be older than it is. */
  olderBy?: number;
  /** Done to the addresses. */
  change?: (url: string, number: number) => string;
}

/** Pushes into a new upload; tells how that ended, and what is in the store then, completed. */
async function push({ tools, bytes = content, before = [], olderBy = 0, change = (url) => url }: Run) {
  const work = mkdtempSync(join(folder, 'work-'));
  const source = join(work, 'it’s here\nand -there');
  writeFileSync(source, bytes);
  writeFileSync(join(work, 'done'), before.map((etag, number) => `${number} ${partBytes} ${etag}\n`).join(''));
  const object = { bucket: `push-${randomUUID()}`, key: 'it' };
  await staging.prepareBucket(object.bucket);
  const upload: StagedUpload = { ...object, uploadId: await staging.beginUpload(object) };
  const count = Math.max(1, Math.ceil(bytes.length / partBytes));
  const urls = await staging.signParts(upload, 1, count, 'cluster');
  const mtime = Math.floor(statSync(source).mtimeMs / 1_000) - olderBy;
  const words = [source, bytes.length, mtime, partBytes, 3];
  const input = urls.map((url, number) => `${change(url, number)}\n`).join('');
  const end = await runProgram({ folder, tools, work, program: pushProgram, words, input });
  const [first, ...told] = end.out.trimEnd().split('\n');
  return { ...end, first, told: told.sort(), upload };
}

describe.each(hosts)('on a host with %s', (_what, tools) => {
  it('sends every part, held against what the store says of it, and tells the digest of the whole', async () => {
    const { code, err, first, told, upload } = await push({ tools });
    expect({ code, err, first, told }).toEqual({
      ...{ code: 0, err: '', first: `sha256 ${digest('sha256', content)}` },
      told: parts(sums),
    });
    await staging.completeUpload(upload, sums);
    const got = await fetch(await staging.signDownload(upload, 'client'));
    expect(digest('sha256', Buffer.from(await got.arrayBuffer()))).toBe(digest('sha256', content));
    await staging.removeObject(upload);
  });

  it('sends a file without bytes', async () => {
    const none = Buffer.alloc(0);
    const { code, first, told } = await push({ tools, bytes: none });
    expect({ code, first, told }).toEqual({
      ...{ code: 0, first: `sha256 ${digest('sha256', none)}`, told: parts([digest('md5', none)]) },
    });
  });

  it('goes on with the parts that an earlier run has sent', async () => {
    const { code, told } = await push({ tools, before: ['sent', 'before'] });
    expect({ code, told }).toEqual({ code: 0, told: parts(['sent', 'before', ...sums.slice(2)]) });
  });

  it('gives up with the store’s refusal, not with what that leaves undone elsewhere', async () => {
    const { code, err } = await push({ tools, change: (url, number) => (number === 1 ? `${url}0` : url) });
    expect({ code, err }).toEqual({ code: 71, err: expect.stringContaining('refused a part with status 403') });
  });
});

it('a file that is not the one that was found good is not sent', async () => {
  const [[, tools]] = hosts;
  const { code, err } = await push({ tools, olderBy: 1 });
  expect({ code, err }).toEqual({ code: 75, err: 'the file changed before it was read\n' });
});
