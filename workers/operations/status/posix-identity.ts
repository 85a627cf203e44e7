/** Who the user of a session is by id(1): numbers and names of user, primary group and all groups. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RemoteShell } from '../../ssh/remote-shell.ts';

interface Named {
  /** Digits. */
  id: string;
  name: string;
}

export interface PosixIdentity {
  user: Named;
  group: Named;
  /** The primary group among them, each once. */
  groups: Named[];
}

/** Names of groups may hold spaces, so lists come with NUL between (GNU coreutils 8.22 and later). */
const program = "id -u; id -g; id -un; id -gn; id -Gz; printf '\\n'; id -Gnz";

/** RemoteCommandFailed where the host does not say. A group without a name shows its number as one, as id has it. */
export async function findPosixIdentity(shell: RemoteShell, signal: AbortSignal): Promise<PosixIdentity> {
  const { stdout, stderr } = await shell.run(['sh', '-c', program], { signal });
  const identity = parsePosixIdentity(stdout.toString());
  if (identity) return identity;
  throw new BrokerError('RemoteCommandFailed', `Remote process failed: ${stderr.toString().trim()}`, {
    detail: { stdout: stdout.toString(), stderr: stderr.toString() },
  });
}

/** `1005\n1005\ngcalice\ngcalice\n1005\0` + `2000\0\n` + `gcalice\0domain users\0`; undefined for anything else. */
export function parsePosixIdentity(output: string): PosixIdentity | undefined {
  const [uid = '', gid = '', username = '', group = '', ids = '', ...names] = output.split('\n');
  const groupIds = listed(ids);
  const groupNames = listed(names.join('\n'));
  const isWhole = [uid, gid, ...groupIds].every((id) => /^\d+$/.test(id)) && username !== '' && group !== '';
  if (!isWhole || groupIds.length === 0 || groupIds.length !== groupNames.length) return undefined;
  const groups = groupIds.map((id, index) => ({ id, name: groupNames[index] ?? id }));
  return { user: { id: uid, name: username }, group: { id: gid, name: group }, groups };
}

/** Each of them ends with a NUL. */
function listed(text: string): string[] {
  return text.split('\0').slice(0, -1);
}
