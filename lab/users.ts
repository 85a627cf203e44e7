/**
 * The people of the lab: ordinary accounts of the machine, made once and kept, with a key pair of their own in each
 * lab. Without root the caller's own account stands in for the first of them and there are no others.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findAccount, type SystemAccount } from './accounts.ts';
import { LabError } from './lab-error.ts';
import { labFolders } from './lab-folder.ts';
import { plainEnvironment } from './plain-environment.ts';
import { runCommand } from './run-command.ts';

/** What a user is in the scheduler: accounts (the first is the default) and whether they see and manage all jobs. */
export interface SchedulerStanding {
  accounts: string[];
  isOperator: boolean;
}

export interface LabUser extends SchedulerStanding {
  /** Short name (`alice`), which is also the name of their OIDC client. */
  name: string;
  /** Name on the cluster (`gcalice`). */
  username: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
  privateKeyPath: string;
  /** One line in the form of authorized_keys. */
  publicKey: string;
}

interface WantedUser extends SchedulerStanding {
  name: string;
  username: string;
  shell: string;
}

/** Most load users that a lab makes. */
export const loadUsersMax = 100;

const people: readonly WantedUser[] = [
  person('alice', ['proj01', 'proj02']),
  person('bob', ['proj02']),
  person('carol', []),
  { ...person('service', ['proj01']), username: 'gcsvc', isOperator: true },
  { ...person('dash', ['proj01']), shell: '/bin/dash' },
  { ...person('zsh', ['proj01']), shell: '/bin/zsh' },
  { ...person('tcsh', ['proj01']), shell: '/bin/tcsh' },
  { ...person('fish', ['proj01']), shell: '/usr/bin/fish' },
];

export interface UsersOptions {
  folder: string;
  /** So many of gcload001, gcload002, … (100 at most). */
  loadUsers: number;
  /** Short names of the people to have; all when left out. */
  people?: readonly string[];
}

/** Makes the accounts that are missing, and a key pair for each user. May run beside itself in another process. */
export async function prepareUsers(options: UsersOptions): Promise<LabUser[]> {
  const keys = join(options.folder, 'keys');
  mkdirSync(keys, { mode: 0o755 });
  const users: LabUser[] = [];
  for (const batch of batches(wantedUsers(options), 8)) {
    users.push(...(await Promise.all(batch.map((wanted) => prepareUser(wanted, keys)))));
  }
  return users;
}

/** The user of that short name. Throws `NotStarted` when this lab has none. */
export function userNamed(users: readonly LabUser[], name: string): LabUser {
  const user = users.find((candidate) => candidate.name === name);
  if (!user)
    throw new LabError('NotStarted', `This lab has no user ${name}; it has ${users.map((u) => u.name).join()}`);
  return user;
}

function wantedUsers({ loadUsers, people: names }: UsersOptions): WantedUser[] {
  if (process.getuid?.() !== 0) {
    const { username, shell } = userInfo();
    return [{ ...person('alice', ['proj01', 'proj02']), username, shell: shell ?? '/bin/sh' }];
  }
  if (loadUsers > loadUsersMax)
    throw new LabError('NotStarted', `At most ${loadUsersMax} load users, not ${loadUsers}`);
  const load = Array.from({ length: loadUsers }, (_, index) =>
    person(`load${String(index + 1).padStart(3, '0')}`, ['proj01']),
  );
  return [...people.filter(({ name }) => names?.includes(name) ?? true), ...load];
}

function person(name: string, accounts: string[]): WantedUser {
  return { name, username: `gc${name}`, shell: '/bin/bash', accounts, isOperator: false };
}

async function prepareUser(wanted: WantedUser, keysFolder: string): Promise<LabUser> {
  const account = ownAccount() ?? findAccount(wanted.username) ?? (await addAccount(wanted));
  const privateKeyPath = join(keysFolder, wanted.username);
  await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', wanted.username, '-f', privateKeyPath]);
  const publicKey = readFileSync(`${privateKeyPath}.pub`, 'utf8').trim();
  return { ...wanted, ...account, privateKeyPath, publicKey };
}

/** The caller's own account where that is the lab's only one; it may come from a directory service, not passwd(5). */
function ownAccount(): SystemAccount | undefined {
  if (process.getuid?.() === 0) return undefined;
  const { username, uid, gid, homedir, shell } = userInfo();
  return { username, uid, gid, home: homedir, shell: shell ?? '/bin/sh' };
}

async function addAccount({ username, shell }: WantedUser): Promise<SystemAccount> {
  // Password '*': with UsePAM off, sshd refuses an account whose password field is '!' as locked.
  const args = ['--create-home', '--key', 'HOME_MODE=0700', '--password', '*', '--shell', shell, username];
  for (let attempt = 1; ; attempt += 1) {
    const failure = await runCommand('useradd', args).then(
      () => undefined,
      (error: unknown) => error,
    );
    const account = findAccount(username);
    if (account) return account;
    // Two useradd at once: the one that does not get the lock of /etc/passwd fails and may come again.
    if (attempt === 20) throw failure;
    await delay(100);
  }
}

/** Removes an account with its home. Does nothing while another lab is up or the account has processes. */
export function removeUser(username: string): void {
  if (labFolders().length > 0) return;
  // It refuses (exit code 8) while the account is in use; its complaints about a missing mail box are noise.
  spawnSync('userdel', ['--remove', username], { env: plainEnvironment(), stdio: 'ignore' });
}

function batches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
