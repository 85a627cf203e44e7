/**
 * What a command that failed on the cluster becomes: FirecREST v2's message, which clients search for the words of the
 * tool, with a code by those words. Commands run in the C locale, and GNU tools escape line breaks in the names they
 * quote, so a reason at the end of a line is the tool's own.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { RunResult } from '../ssh/remote-shell.ts';

/** Words of a tool and the code they stand for. */
export type Saying = readonly [RegExp, ErrorCode];

/** `Cannot exec`: tar has no such compressor. */
const sayings: readonly Saying[] = [
  [/: Cannot exec: /, 'NotSupported'],
  [/: No such file or directory$/m, 'FileNotFound'],
  [/: Not a directory$/m, 'FileNotFound'],
  // As SFTP has it, which does not tell the two apart.
  [/: Too many levels of symbolic links$/m, 'FileNotFound'],
  [/: Permission denied$/m, 'PermissionDenied'],
  [/: Operation not permitted$/m, 'PermissionDenied'],
  [/: Read-only file system$/m, 'PermissionDenied'],
  [/: File exists$/m, 'FileExists'],
  [/: Is a directory$/m, 'InvalidRequest'],
  [/: File name too long$/m, 'InvalidRequest'],
  // cp and mv, of what they are asked to do.
  [/^(?:cp|mv): '.*' and '.*' are the same file$/m, 'InvalidRequest'],
  [/^cp: cannot copy a directory, '.*', into itself, '.*'$/m, 'InvalidRequest'],
  [/^mv: cannot move '.*' to a subdirectory of itself, '.*'$/m, 'InvalidRequest'],
  [/^(?:cp|mv): cannot overwrite (?:non-)?directory /m, 'InvalidRequest'],
  [/^chown: invalid (?:user|group|spec)\b/m, 'InvalidUser'],
  [/^chmod: invalid mode\b/m, 'InvalidRequest'],
];

const commandNotFound = 127;
const stderrCharsMax = 2_000;

/** The error for a run whose exit code is not 0. `own`: what this tool alone says. */
export function remoteFailure(tool: string, result: RunResult, own: readonly Saying[] = []): BrokerError {
  const { exitCode, signalName } = result;
  if (exitCode === commandNotFound) return new BrokerError('NotSupported', `The system has no command ${tool}.`);
  const said = result.stderr.toString().trim().slice(0, stderrCharsMax);
  const code = firstSaid([...own, ...sayings], said) ?? 'RemoteCommandFailed';
  const status = exitCode === null ? `signal ${signalName ?? 'unknown'}` : String(exitCode);
  const reason = said === '' ? '' : ` and error message:${said}`;
  return new BrokerError(code, `Remote process failed with exit status:${status}${reason}`, { detail: { tool } });
}

/** What is said first is the cause of the rest; of two that begin at one place the earlier in the list counts. */
function firstSaid(known: readonly Saying[], said: string): ErrorCode | undefined {
  const found = known.flatMap(([words, code]) => {
    const at = words.exec(said)?.index;
    return at === undefined ? [] : [{ at, code }];
  });
  return found.sort((a, b) => a.at - b.at)[0]?.code;
}
