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
  /** It is for a POSIX `sh` that waits for it and for no login shell: what is of printable ASCII then does without `env` and another `sh`. */
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
/** What a POSIX `sh` reads alike within single quotes, in whatever locale, and on one line. */
const printableWord = /^[ -~]*$/;
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
  const ownLocale = options.unsetsLocale ? {} : { LC_ALL: 'C' };
  const variables = Object.entries({ ...ownLocale, ...options.env }).map(([name, value]) => assignment(name, value));
  const environment = options.unsetsLocale ? ['-u', 'LC_ALL', ...variables] : variables;
  const inDirectory = options.cwd === undefined ? [] : [options.cwd];
  const isEvery = (pattern: RegExp) =>
    [...environment, ...words, ...inDirectory].every((word) => pattern.test(text(word)));
  const isPlain = options.cwd === undefined && isEvery(plainWord);
  const isBare = options.isForSh === true && Object.keys(options.env ?? {}).length === 0 && isEvery(printableWord);
  const locale = options.unsetsLocale ? 'unset LC_ALL;' : 'export LC_ALL=C;';
  const line = isBare
    ? `${locale} ${script(['exec'], words, options.cwd).toString('latin1')}`
    : isPlain
      ? ['exec', '/usr/bin/env', ...environment, ...words].map(text).join(' ')
      : `exec /usr/bin/env LC_ALL=C sh -c '${decoder(script(['exec', '/usr/bin/env', ...environment], words, options.cwd))}'`;
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

/** The POSIX sh text, as bytes, for which the octal travels where another shell reads the line. */
function script(start: readonly string[], words: readonly Word[], cwd: Word | undefined): Buffer {
  const command = [...start, ...words].map(singleQuoted);
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
