/** What the next attempt of an upload does with what the one before left, on the lab's login node. */
import { createHash } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import type { ByteExchange } from '../../workers/operations/byte-exchange.ts';
import { handleUpload } from '../../workers/operations/filesystem/upload.ts';
import { type FileHost, openFileHost } from './filesystem-fixture.ts';

const lab = inject('lab');
let host: FileHost;
let folder: string;
let at: (name: string) => string;

beforeAll(() => {
  host = openFileHost(lab, [tmpdir()]);
  folder = mkdtempSync(join(tmpdir(), 'gc-upload-'));
  const alice = lab.users.find(({ username }) => username === 'gcalice');
  chownSync(folder, alice?.uid ?? 0, alice?.gid ?? 0);
  at = (name) => join(folder, name);
});

beforeEach(() => {
  for (const name of ['target', '.target.part-t']) rmSync(at(name), { force: true });
});

afterAll(async () => {
  await host?.close();
  if (folder) rmSync(folder, { recursive: true });
});

function again(journaled: Record<string, unknown> | null, over: { isCancelRequested?: boolean } = {}) {
  const nobodyComes = async () => expect.unreachable('a recovery asks for no bytes');
  const exchange: ByteExchange = { announce: () => {}, send: nobodyComes, refuse: nobodyComes, receive: nobodyComes };
  const journal = { entry: journaled, write: nobodyComes, writeMoving: nobodyComes };
  const context = { ...host.context({ attempt: 2, id: 't', ...over }), exchange, journal };
  return handleUpload({ path: folder, fileName: 'target' }, context);
}

/** Of what the uploaded file holds. */
const sha256 = createHash('sha256').update('new').digest('hex');

const placing = (sizeBytes: number) => ({
  ...{ phase: 'placing', sha256 },
  part: at('.target.part-t'),
  target: at('target'),
  sizeBytes,
});

it('an upload whose bytes were all there is finished', async () => {
  writeFileSync(at('.target.part-t'), 'new');
  writeFileSync(at('target'), 'old');
  expect(await again(placing(3))).toEqual({ path: at('target'), sizeBytes: 3, sha256 });
  expect([readFileSync(at('target'), 'utf8'), existsSync(at('.target.part-t'))]).toEqual(['new', false]);
});

it('an upload that has its name already has ended well', async () => {
  writeFileSync(at('target'), 'new');
  expect(await again(placing(3))).toEqual({ path: at('target'), sizeBytes: 3, sha256 });
  expect(readFileSync(at('target'), 'utf8')).toBe('new');
});

it('an upload whose part is gone and whose target is another file is not said to have ended well', async () => {
  writeFileSync(at('target'), 'older');
  await expect(again(placing(3))).rejects.toMatchObject({ code: 'OutcomeUnknown' });
  rmSync(at('target'));
  await expect(again(placing(3))).rejects.toMatchObject({ code: 'OutcomeUnknown' });
});

it('an upload whose bytes were not all there ends as broken, and leaves the target', async () => {
  writeFileSync(at('.target.part-t'), 'ne');
  writeFileSync(at('target'), 'old');
  await expect(again(placing(3))).rejects.toMatchObject({ code: 'TransferBroken' });
  expect([readFileSync(at('target'), 'utf8'), existsSync(at('.target.part-t'))]).toEqual(['old', false]);
});

it('an upload that nobody waits for any more is cleaned up and not begun again', async () => {
  writeFileSync(at('.target.part-t'), 'ne');
  await expect(again(null, { isCancelRequested: true })).rejects.toMatchObject({ code: 'TaskCanceled' });
  expect([existsSync(at('target')), existsSync(at('.target.part-t'))]).toEqual([false, false]);
});
