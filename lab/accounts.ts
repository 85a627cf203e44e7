/** Accounts of the machine, looked up in passwd(5). */
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { LabError } from './lab-error.ts';

export interface SystemAccount {
  username: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
}

/** The account of that name, or undefined. */
export function findAccount(username: string): SystemAccount | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid, , home, shell] = line.split(':');
    if (name === username)
      return { username, uid: Number(uid), gid: Number(gid), home: home ?? '/', shell: shell ?? '' };
  }
  return undefined;
}

/** The account that a Debian package made for its daemon. Throws `Missing`. */
export function daemonAccount(username: string): SystemAccount {
  const account = findAccount(username);
  if (!account) throw new LabError('Missing', `The account ${username} does not exist: run lab/install.sh lab`);
  return account;
}

/** Makes a folder that belongs to a daemon's account. */
export function makeOwnedFolder(path: string, username: string, mode: number): void {
  const { uid, gid } = daemonAccount(username);
  mkdirSync(path);
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}
