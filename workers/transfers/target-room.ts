/**
 * Whether a directory takes a file of so many bytes, looked at before a client sends any: permission, the room of the file
 * system, and what is left of the user's quota where a tool of the system tells (`lfs quota` of Lustre, `quota` of Linux and
 * NFS). Quotas of groups and projects, and those of file systems with tools of their own, are met when bytes are written.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { remoteFailure } from '../operations/remote-failure.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';

/** Arguments: directory, KiB. Prints `quota <KiB left>`, `none` or `unknown`. Exit codes: 13 not to be written to, 28 too little space, 122 too little left of the quota. */
export const targetRoomProgram = `
[ -w "$1" ] && [ -x "$1" ] || exit 13
set -- "$1" "$2" $(df -Pk -- "$1" | awk 'NR == 2 { print $1, $4 }')
[ -z "$4" ] || [ "$4" -ge "$2" ] || exit 28
left=
# <file system> <KiB used> <soft> <hard> <grace> …, on two lines where the first is long; 0 is no bound, a star marks an excess.
count='{ sub(/[*]/, "", used); if (hard <= 0) print "none"; else print (hard > used + 0 ? hard - used : 0) }'
if command -v lfs >/dev/null 2>&1; then
  left=$(timeout 5 lfs quota -q -u "$(id -un)" "$1" 2>/dev/null | tr '\\n' ' ' | awk 'NF > 3 { used = $2; hard = $4 + 0 } NF > 3 '"$count")
fi
if [ -z "$left" ] && command -v quota >/dev/null 2>&1; then
  left=$(timeout 5 quota -uwp 2>/dev/null | awk -v device="$3" '$1 == device { used = $2; hard = $4 + 0 } $1 == device '"$count")
fi
case $left in ''|none) ;; *) [ "$left" -ge "$2" ] || { echo "$left" >&2; exit 122; };; esac
echo "quota \${left:-unknown}"
`;

const exits = { notWritable: 13, noSpace: 28, overQuota: 122 } as const;

/** Bytes left of the user's quota; null: there is none, or nobody knows. PermissionDenied, TransferFailed. */
export async function checkRoom(
  { path, directory, sizeBytes }: { path: string; directory: string; sizeBytes: number },
  { shell, signal }: { shell: RemoteShell; signal: AbortSignal },
): Promise<number | null> {
  const argv = ['sh', '-c', targetRoomProgram, 'sh', directory, String(Math.ceil(sizeBytes / 1024))];
  const result = await shell.run(argv, { signal });
  const { exitCode } = result;
  if (exitCode === exits.notWritable) {
    throw new BrokerError('PermissionDenied', `cannot create regular file '${path}': Permission denied`);
  }
  const refused = (reason: string) => new BrokerError('TransferFailed', `cannot upload to '${path}': ${reason}`);
  if (exitCode === exits.noSpace) throw refused(`No space left on device for ${sizeBytes} bytes`);
  if (exitCode === exits.overQuota) {
    const left = Number(result.stderr.toString().trim()) * 1_024;
    throw refused(`Disk quota exceeded: ${sizeBytes} bytes are more than the ${left} that are left`);
  }
  if (exitCode !== 0) throw remoteFailure('sh', result);
  const kibibytes = /^quota (\d+)$/m.exec(result.stdout.toString())?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1_024;
}
