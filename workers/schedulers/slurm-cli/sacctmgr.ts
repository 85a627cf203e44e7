/** sacctmgr(1): the accounts a user may charge. */
import type { Account } from '../../../shared/operations/status/userinfo.ts';
import type { SchedulerHost } from '../scheduler.ts';
import { failed, type Run, unreadable } from './slurm-command.ts';

/** Each account once, whatever partitions it is for; null where the site keeps no accounting. SchedulerFailed. */
export async function listAccounts(run: Run, host: SchedulerHost, signal: AbortSignal): Promise<Account[] | null> {
  const argv = [
    'sacctmgr',
    '--noheader',
    '--parsable2',
    '--readonly',
    'show',
    'user',
    'where',
    `name=${host.username}`,
  ];
  const result = await run(host, [...argv, 'withassoc', 'format=defaultaccount,account'], signal);
  if (result.exitCode === 0) return parseAccounts(result.stdout.toString());
  if (/accounting storage is disabled|not running a supported accounting_storage/i.test(result.stderr.toString())) {
    return null;
  }
  throw failed('The accounts could not be read.', result);
}

/** Slurm 22.05.8, a line for each association: `proj01|proj02`. Names hold no `|`. */
export function parseAccounts(output: string): Account[] {
  const accounts = new Map<string, Account>();
  for (const line of output.split('\n').filter((text) => text !== '')) {
    const [standard, name, ...more] = line.split('|');
    if (standard === undefined || name === undefined || more.length > 0) throw unreadable(output);
    if (name === '') continue; // a user without any association
    accounts.set(name, { name, default: name === standard || accounts.get(name)?.default === true });
  }
  return [...accounts.values()];
}
