/** A file system that hangs costs who looks at it their deadline, and nobody else anything. */
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { createHungFileSystem, type HungFileSystem } from './hung-file-system.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
let ssh: Ssh;
let hung: HungFileSystem;

beforeAll(() => {
  ssh = sshTo(systemOptions(lab.sshd), labUserCa(lab));
  hung = createHungFileSystem();
});

afterAll(async () => {
  hung?.remove();
  await ssh?.close(0);
});

it('a question that nobody waits for any more is not put to the next loop, where it would hang the next request', async () => {
  const stats = ssh.stats('lab', alice.username);
  await stats.stat('/tmp');
  hung.hang();
  const limits = { timeoutMs: 400 };
  // As a request does whose paths are looked at: one question ends the loop at its deadline, the other is to be put again.
  const both = await Promise.allSettled([stats.stat(hung.path, limits), stats.realpath(hung.path, limits)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect((await stats.stat('/tmp', { timeoutMs: 10_000 })).mode).toBeGreaterThan(0);
});
