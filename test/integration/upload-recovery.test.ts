/** What the next attempt of an upload does with what the one before left, on the lab's login node. */
import { createHash } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, inject, it, vi } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
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
  for (const other of ['older', 'old']) {
    writeFileSync(at('target'), other);
    await expect(again(placing(3))).rejects.toMatchObject({ code: 'OutcomeUnknown' });
  }
  rmSync(at('target'));
  await expect(again(placing(3))).rejects.toMatchObject({ code: 'OutcomeUnknown' });
});

it.each([
  ['fewer', 'ne'],
  ['other', 'n\0w'],
])(
  'an upload of which the cluster has %s bytes than those that came ends as broken, and leaves the target',
  async (_what, part) => {
    writeFileSync(at('.target.part-t'), part);
    writeFileSync(at('target'), 'old');
    await expect(again(placing(3))).rejects.toMatchObject({ code: 'TransferBroken' });
    expect([readFileSync(at('target'), 'utf8'), existsSync(at('.target.part-t'))]).toEqual(['old', false]);
  },
);

it('an upload that nobody waits for any more is cleaned up and not begun again', async () => {
  writeFileSync(at('.target.part-t'), 'ne');
  await expect(again(null, { isCancelRequested: true })).rejects.toMatchObject({ code: 'TaskCanceled' });
  expect([existsSync(at('target')), existsSync(at('.target.part-t'))]).toEqual([false, false]);
});

/** A first attempt whose task is taken from it when all bytes have come and are on their way to the cluster. */
function taken(reason: BrokerError): { upload: Promise<unknown>; journaled: Record<string, unknown>[] } {
  const stop = new AbortController();
  const journaled: Record<string, unknown>[] = [];
  const journal = {
    entry: null,
    async write(entry: Record<string, unknown>) {
      journaled.push(entry);
      stop.abort(reason);
    },
    writeMoving: async () => expect.unreachable('an upload has no progress'),
  };
  const nobodyComes = async () => expect.unreachable('an upload sends nothing');
  const receive: ByteExchange['receive'] = async (take) => void (await take(Buffer.from('new')));
  const exchange: ByteExchange = { announce: () => {}, send: nobodyComes, refuse: nobodyComes, receive };
  const context = { ...host.context({ id: 't' }), exchange, journal, signal: stop.signal };
  return { upload: handleUpload({ path: folder, fileName: 'target' }, context), journaled };
}

it('an upload that its worker hands on when all bytes have come is finished by the next one', async () => {
  writeFileSync(at('target'), 'old');
  const { upload, journaled } = taken(new BrokerError('ShuttingDown', 'The worker is shutting down.'));
  await expect(upload).rejects.toMatchObject({ code: 'ShuttingDown' });
  expect([readFileSync(at('target'), 'utf8'), existsSync(at('.target.part-t'))]).toEqual(['old', true]);
  await vi.waitFor(() => expect(readFileSync(at('.target.part-t'), 'utf8')).toBe('new'));
  expect(await again(journaled[0] ?? null)).toEqual({ path: at('target'), sizeBytes: 3, sha256 });
  expect([readFileSync(at('target'), 'utf8'), existsSync(at('.target.part-t'))]).toEqual(['new', false]);
});

it('an upload that is canceled when all bytes have come leaves the target and no part', async () => {
  writeFileSync(at('target'), 'old');
  await expect(taken(new BrokerError('TaskCanceled', 'Canceled.')).upload).rejects.toMatchObject({
    code: 'TaskCanceled',
  });
  expect([readFileSync(at('target'), 'utf8'), existsSync(at('.target.part-t'))]).toEqual(['old', false]);
});
