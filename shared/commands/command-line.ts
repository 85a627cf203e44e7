/**
 * The one function that turns argv into a line of text for a login shell. What the shell of the account parses (sshd
 * hands the line to it: bash, dash, zsh, tcsh, fish …) is plain ASCII that all of them read alike; words with any
 * other byte travel as octal escapes that only a POSIX `sh` ever decodes.
 */
import { BrokerError } from '../errors/broker-error.ts';

/** One word of argv: any bytes but NUL; a string stands for its UTF-8 bytes. */
export type Word = string | Buffer;

/** What surrounds the command. */
export interface CommandLineOptions {
  /** Added to the environment; names must be shell identifiers. `LC_ALL=C` is always set unless given here. */
  readonly env?: Readonly<Record<string, string>>;
  /** Takes `LC_ALL` out of the environment: for a command that hands its environment on. */
  readonly unsetsLocale?: boolean;
  /** It is for a POSIX `sh` that waits for it and for no login shell: plain words then do without a process of `env`. */
  readonly isForSh?: boolean;
  /** Working directory; the command does not start when it cannot be entered (exit code 1 or 2). */
  readonly cwd?: Word;
  /** Ends the command with SIGTERM after this time (exit code 124), by coreutils `timeout`. */
  readonly timeoutSeconds?: number;
  /** Ends it with SIGKILL this much later (exit code 137). Default 2. Used with timeoutSeconds only. */
  readonly killAfterSeconds?: number;
}

/** Linux accepts 131,072 bytes in one argument of execve, and the whole line is one argument of the login shell. */
const lineBytesMax = 128 * 1024 - 1024;

/** Means the same to every shell wherever it stands; `=`, `~`, `%`, `#`, `-` and others do not at every place. */
const plainWord = /^[A-Za-z0-9_./:,@+-][A-Za-z0-9_./:,@+=-]*$/;
const shellIdentifier = /^[A-Za-z_][A-Za-z0-9_]*$/;
const commandName = /^[^-=][^=]*$/;

/**
 * The line that runs exactly `argv`. It replaces the login shell (`exec`), so that signals sent to the session reach
 * the command. Throws InvalidRequest for a NUL byte, an empty argv, a command name that is empty, begins with `-` or
 * holds `=`, and a line of more than 127 KiB (content belongs on standard input, not into argv).
 */
export function commandLine(argv: readonly Word[], options: CommandLineOptions = {}): string {
  const [command] = argv;
  if (command === undefined || !commandName.test(text(command))) {
    throw new BrokerError('InvalidRequest', 'The command has no usable name.');
  }
  const words = [...timeoutWords(options), ...argv];
  const locale = options.unsetsLocale ? {} : { LC_ALL: 'C' };
  const variables = Object.entries({ ...locale, ...options.env }).map(([name, value]) => assignment(name, value));
  const environment = options.unsetsLocale ? ['-u', 'LC_ALL', ...variables] : variables;
  const isPlain = options.cwd === undefined && [...environment, ...words].every((word) => plainWord.test(text(word)));
  const isBare = options.isForSh === true && Object.keys(options.env ?? {}).length === 0;
  const start = isBare ? [options.unsetsLocale ? 'unset LC_ALL;' : 'export LC_ALL=C;', 'exec'] : null;
  const line = isPlain
    ? [...(start ?? ['exec', '/usr/bin/env', ...environment]), ...words].map(text).join(' ')
    : `exec /usr/bin/env LC_ALL=C sh -c '${decoder(script(environment, words, options.cwd))}'`;
  if (line.length > lineBytesMax) throw new BrokerError('InvalidRequest', 'The command line is too long.');
  return line;
}

function timeoutWords({ timeoutSeconds, killAfterSeconds = 2 }: CommandLineOptions): string[] {
  if (timeoutSeconds === undefined) return [];
  return ['timeout', '-k', seconds(killAfterSeconds), seconds(timeoutSeconds)];
}

/** Never 0, which would mean no limit to `timeout`. */
function seconds(value: number): string {
  return String(Math.max(0.01, Math.round(value * 100) / 100));
}

function assignment(name: string, value: string): string {
  if (!shellIdentifier.test(name)) {
    throw new BrokerError('InvalidRequest', 'The name of an environment variable is not valid.');
  }
  return `${name}=${value}`;
}

/** The POSIX sh text, as bytes, which the octal travels for. */
function script(environment: readonly string[], words: readonly Word[], cwd: Word | undefined): Buffer {
  const command = ['exec /usr/bin/env', ...[...environment, ...words].map(singleQuoted)];
  return joined(cwd === undefined ? command : ['cd --', singleQuoted(directory(cwd)), '&&', ...command]);
}

/** `./` keeps `cd` from reading `-` as the previous directory and a relative name from being searched in CDPATH. */
function directory(cwd: Word): Word {
  const bytes = typeof cwd === 'string' ? Buffer.from(cwd) : cwd;
  return bytes[0] === 0x2f ? bytes : Buffer.concat([Buffer.from('./'), bytes]);
}

function singleQuoted(word: Word): Buffer {
  const bytes = text(word);
  if (bytes.includes('\0')) throw new BrokerError('InvalidRequest', 'An argument holds a NUL byte.');
  return Buffer.from(plainWord.test(bytes) ? bytes : `'${bytes.replaceAll("'", "'\\''")}'`, 'latin1');
}

function joined(parts: readonly (string | Buffer)[]): Buffer {
  return Buffer.from(parts.map(text).join(' '), 'latin1');
}

/**
 * `printf %b` knows `\0ddd`; a backslash before a digit is literal within single quotes of every login shell, and so
 * is `$(`. No newline, quote, `!` or byte above 127 is left for any of them to trip over.
 */
function decoder(posixText: Buffer): string {
  const octal = posixText
    .toString('latin1')
    .replace(/[^A-Za-z0-9_./:,@+= -]/g, (char) => `\\0${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return `eval "$(printf %b "${octal}")"`;
}

/** One character per byte. */
function text(word: Word): string {
  return (typeof word === 'string' ? Buffer.from(word) : word).toString('latin1');
}
