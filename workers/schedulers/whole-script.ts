/** Keeps a script that arrived in part from being submitted: a connection that breaks ends standard input early. */

/** A script this small travels in one SSH packet, so it arrives whole or not at all. */
const atomicScriptBytes = 24 * 1024;

/** Exit code of the check; nothing was submitted. */
export const truncatedScriptExitCode = 74;

/** `$1` is the length in bytes; the rest is the command. */
const program = `f=$(mktemp) || exit ${truncatedScriptExitCode}; trap 'rm -f "$f"' EXIT
cat >"$f"; [ "$(wc -c <"$f")" -eq "$1" ] || exit ${truncatedScriptExitCode}; shift; "$@" <"$f"`;

/** Words to put before a command that reads `script` from standard input; none where it cannot arrive in part. */
export function wholeScriptCheck(script: string): string[] {
  const sizeBytes = Buffer.byteLength(script);
  return sizeBytes > atomicScriptBytes ? ['sh', '-c', program, 'sh', String(sizeBytes)] : [];
}
