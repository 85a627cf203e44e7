/** The program that fetches ranges, run here against a real S3 server, with the tools that a host may have or lack. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createStaging, type StagedObject, type Staging } from '../../shared/staging/staging.ts';
import { pullProgram } from '../../workers/transfers/pull-program.ts';
import { hosts } from './host-tools.ts';
import { runProgram } from './mover-program.ts';
import { stagingConfig } from './staging-config.ts';

const mebi = 2 ** 20;
/** Not a whole number of ranges, which are of whole MiB. */
const pieceBytes = 5 * mebi + 3;
const content = randomBytes(2 * pieceBytes + 7);
const sha256 = createHash('sha256').update(content).digest('hex');

let staging: Staging;
let object: StagedObject;
let folder: string;
let url: string;
let etag: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goldcrest-pull-'));
  staging = createStaging(stagingConfig(inject('lab').s3));
  object = { bucket: `pull-${randomUUID()}`, key: 'of several parts' };
  await staging.prepareBucket(object.bucket);
  const upload = { ...object, uploadId: await staging.beginUpload(object) };
  const urls = await staging.signParts(upload, 1, 3, 'cluster');
  const answers = await Promise.all(
    urls.map((part, at) => {
      const body = content.subarray(at * pieceBytes, (at + 1) * pieceBytes);
      return fetch(part, { method: 'PUT', body });
    }),
  );
  const etags = answers.map(({ headers }) => headers.get('etag') ?? '');
  await staging.completeUpload(upload, etags);
  url = await staging.signDownload(object, 'cluster');
  etag = (await staging.look(object))?.etag ?? '';
});

afterAll(async () => {
  await staging?.removeObject(object);
  staging?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  tools: string;
  rangeBytes: number;
  /** What the client named; empty: the store's digests are to do. */
  wanted: string;
  /** Left out: what the store says. */
  tag?: string;
  /** Ranges that an earlier run is said to have done, and of which size. */
  before?: { rangeBytes: string; steps: readonly number[] };
}

async function pull({ tools, rangeBytes, wanted, before, tag = etag }: Run) {
  const work = mkdtempSync(join(folder, 'work-'));
  const target = join(work, 'it’s here');
  const part = join(work, '.part');
  if (before !== undefined) {
    writeFileSync(part, Buffer.alloc(content.length));
    writeFileSync(join(work, 'done'), before.steps.map((step) => `${step} ${rangeBytes} \n`).join(''));
    if (before.rangeBytes !== '') writeFileSync(join(work, 'ranges'), `${before.rangeBytes}\n`);
  }
  const words = [part, target, content.length, rangeBytes, 3, wanted, tag, pieceBytes];
  const end = await runProgram({ folder, tools, work, program: pullProgram, words, input: `${url}\n` });
  return { ...end, isSame: existsSync(target) && readFileSync(target).equals(content) };
}

const good = { code: 0, out: `sha256 ${sha256}\n`, isSame: true };

describe.each(hosts)('on a host with %s', (_what, tools) => {
  it('fetches the object whole, held against the digest that was named', async () => {
    expect(await pull({ tools, rangeBytes: 2 * mebi, wanted: sha256 })).toMatchObject(good);
  });

  it('fetches the object whole, held against the digests of its parts', async () => {
    expect(await pull({ tools, rangeBytes: 2 * mebi, wanted: '' })).toMatchObject(good);
  });

  it('says which digest the bytes have where it is not the one that was named', async () => {
    const { code, err, isSame } = await pull({ tools, rangeBytes: 64 * mebi, wanted: '0'.repeat(64) });
    expect({ code, err, isSame }).toEqual({
      ...{ code: 76, isSame: false },
      err: `the file has the SHA-256 ${sha256}, not ${'0'.repeat(64)}\n`,
    });
  });
});

describe('ranges that an earlier run has done', () => {
  const [[, tools]] = hosts;

  it('are not fetched again', async () => {
    const before = { rangeBytes: String(2 * mebi), steps: [0, 1] };
    const { code, err } = await pull({ tools, rangeBytes: 2 * mebi, wanted: sha256, tag: '', before });
    // They were said to be there and are not, and no ETag tells a wrong name from a damaged file.
    expect({ code, err }).toMatchObject({ code: 76, err: expect.stringContaining('the file has the SHA-256') });
  });

  it.each(['', String(64 * mebi)])('of another size (%j) are, whatever is said of them', async (rangeBytes) => {
    const before = { rangeBytes, steps: [0, 1] };
    expect(await pull({ tools, rangeBytes: 2 * mebi, wanted: sha256, before })).toMatchObject(good);
  });
});
