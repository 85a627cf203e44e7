/** Copies of trees and files between two systems, through a real S3 store and a real sshd. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Client } from './broker-fixture.ts';
import { openGroundOfTwo, type StagingGround } from './staging-ground.ts';
import { giveTree, makeTree, seenTree } from './tree-fixture.ts';

const lab = inject('lab');
let ground: StagingGround;
let client: Client;

beforeAll(async () => {
  ground = await openGroundOfTwo(lab);
  client = ground.client;
});

afterEach(() => ground.expectNothingLeft());

afterAll(() => ground?.stop());

const at = (name: string): string => ground.at(name);
const run = (operation: string, input: Record<string, unknown>) => ground.run(operation, input);

describe('a copy to another system', () => {
  const copy = (input: Record<string, unknown>) => run('transfer.copy', { targetSystem: 'other', ...input });

  it('of 10,000 small files is one task, and tells its progress', async () => {
    const root = makeTree(at('many'), ground.owner, {});
    for (let directory = 0; directory < 100; directory += 1) {
      mkdirSync(join(root, `d${directory}`));
      for (let file = 0; file < 100; file += 1)
        writeFileSync(join(root, `d${directory}`, `f${file}`), `${directory} ${file}`);
    }
    giveTree(root, ground.owner);
    const end = await run('transfer.copy', { path: root, targetSystem: 'OTHER', targetPath: at('many there') });
    expect(end, JSON.stringify(end.error)).toMatchObject({
      state: 'completed',
      result: { entries: 10_100, files: 10_000, directories: 100, copied: { entries: 10_000 }, failuresCount: 0 },
      progress: { unit: 'bytes', total: expect.any(Number), entriesTotal: 10_100 },
    });
    expect(seenTree(at('many there'))).toEqual(seenTree(root));
    expect(await ground.stagedOf(end.id)).toEqual([]);
    rmSync(root, { recursive: true });
    rmSync(at('many there'), { recursive: true });
  });

  it.each(['size', 'mtime', 'checksum'] as const)('by %s packs what differs, and says what that was', async (sync) => {
    const same = { same: 'same', 'sub/same too': 'same' };
    const source = makeTree(at(`from ${sync}`), ground.owner, { ...same, time: 'abc', text: 'abc', size: 'long' });
    const target = makeTree(at(`to ${sync}`), ground.owner, {
      ...same,
      time: 'abc',
      text: 'xyz',
      size: 's',
      extra: 'e',
    });
    symlinkSync('same', join(source, 'link'));
    symlinkSync('same', join(target, 'link'));
    for (const root of [source, target]) {
      for (const name of ['same', 'sub/same too', 'time', 'text', 'size']) utimesSync(join(root, name), 1e9, 1e9);
    }
    utimesSync(join(target, 'time'), 1e9, 2e9);
    const end = await copy({ path: source, targetPath: target, merge: true, sync });
    const differ = { size: ['size'], mtime: ['size', 'time'], checksum: ['size', 'text'] }[sync];
    expect(end.result, JSON.stringify(end.error)).toMatchObject({ copiedPaths: differ, failuresCount: 0 });
    expect(end.result.skipped).toMatchObject({ entries: 6 - differ.length });
    expect(readFileSync(join(target, 'text'), 'utf8')).toBe(sync === 'checksum' ? 'abc' : 'xyz');
    expect([readFileSync(join(target, 'size'), 'utf8'), existsSync(join(target, 'extra'))]).toEqual(['long', true]);
    expect(await ground.stagedOf(end.id)).toEqual([]);
  });

  it('takes a single file, of several parts, and replaces one only where that is wished', async () => {
    const content = randomBytes(40 * 2 ** 20);
    const source = join(makeTree(at('files'), ground.owner, { big: content }), 'big');
    chmodSync(source, 0o640);
    const targetPath = at('big\nthere');
    const end = await copy({ path: source, targetPath });
    expect(end, JSON.stringify(end.error)).toMatchObject({
      state: 'completed',
      result: { files: 1, contentBytes: content.length },
    });
    expect(readFileSync(targetPath).equals(content)).toBe(true);
    expect((await copy({ path: source, targetPath })).error?.message).toMatch(/File exists/);
    const again = await copy({ path: source, targetPath, merge: true, sync: 'checksum' });
    expect(again.result).toMatchObject({ copied: { entries: 0 }, skipped: { entries: 1, bytes: content.length } });
  });

  it('of what cannot be read fails and leaves nothing, or leaves it out where that is wished', async () => {
    const source = makeTree(at('closed'), ground.owner, { open: 'x', shut: 'y' });
    chmodSync(join(source, 'shut'), 0);
    const failed = await copy({ path: source, targetPath: at('closed there') });
    expect(failed.error?.message).toMatch(/1 entry failed: 'shut' \(Permission denied\)/);
    expect(existsSync(at('closed there'))).toBe(false);
    expect(await ground.stagedOf(failed.id)).toEqual([]);
    const end = await copy({ path: source, targetPath: at('closed there'), skipFailures: true });
    expect(end.result).toMatchObject({ failures: [{ path: 'shut', reason: 'Permission denied' }], files: 1 });
  });

  it.each([
    ['to a system that is not known', { targetSystem: 'nowhere' }, 404, /System not found/],
    ['to the same system', { targetSystem: 'LAB' }, 400, /must be another system/],
    [
      'to a place that is none of that system',
      { targetPath: '/tmp/x' },
      400,
      /file ?system paths for the requested system \(other\)/,
    ],
  ])('%s is refused at once', async (_title, wrong, status, message) => {
    const input = { path: ground.own.path, targetSystem: 'other', targetPath: at('x'), ...wrong };
    const { body, ...answer } = await client.post('/tasks', { operation: 'transfer.copy', system: 'lab', input });
    expect([answer.status, body.message]).toEqual([status, expect.stringMatching(message)]);
  });

  it('through a link out of the file systems of the other is refused', async () => {
    symlinkSync('/tmp', at('out'));
    const end = await copy({
      path: makeTree(at('in'), ground.owner, { x: 'x' }),
      targetPath: at('out/goldcrest-escaped'),
    });
    rmSync(at('out')); // the look for what is left behind would follow it
    expect(end.error).toMatchObject({ code: 'PathNotAllowed' });
  });
});
