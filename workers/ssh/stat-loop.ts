/**
 * One long-lived process on an exec channel that answers lstat(2), stat(2) and realpath(3) for paths sent to its standard
 * input: all ten fields at the price of a message, where `stat` costs a process. It reads small files as well. It needs perl
 * on the host.
 */
import { commandLine } from '../../shared/commands/command-line.ts';
import { sshString, uint32 } from '../../shared/ssh/wire.ts';
import { batchedWrites } from './batched-writes.ts';
import type { LentChannel } from './connection-pool.ts';
import { createPacketReader } from './sftp-wire.ts';

/** What is asked of a path, as the loop is told it. */
const questions = { lstat: 0, stat: 1, realpath: 2, content: 3 } as const;

export type StatQuestion = keyof typeof questions;

/** Larger files are left to SFTP. */
const contentBytesMax = 32 * 1024;

/**
 * Reads frames {id, question, length, path} and writes frames {length, id, text}, where the text is ten decimal numbers
 * or a path, or `D` and all of a regular file that is small, or errno and its message. realpath is Cwd's, which comes with perl
 * as Fcntl does, as a rule. What is no regular file is not opened, and if it became one meanwhile it is not waited for. Ends at
 * the end of its input. PERL5OPT and PERL_UNICODE could turn bytes into characters.
 */
const script = `sub content {
  my ($path) = @_;
  return unless stat $path and -f _ and -s _ and -s _ <= ${contentBytesMax};
  require Fcntl;
  sysopen my $file, $path, Fcntl::O_RDONLY() | Fcntl::O_NONBLOCK() | Fcntl::O_NOCTTY() or return;
  return unless stat $file and -f _;
  my $data = 'D';
  while (1) {
    my $n = sysread $file, $data, ${contentBytesMax} + 2 - length $data, length $data;
    return unless defined $n;
    last unless $n;
  }
  return length $data > ${contentBytesMax} + 1 ? undef : $data;
}
my ($in, $out) = ('', '');
sub flush { while (length $out) { my $n = syswrite STDOUT, $out; exit 1 unless $n; substr($out, 0, $n) = '' } }
binmode STDIN; binmode STDOUT;
while (sysread STDIN, $in, 65536, length $in) {
  while (length $in >= 9) {
    my ($id, $question, $length) = unpack 'NCN', $in;
    last if length $in < 9 + $length;
    my $path = substr $in, 9, $length;
    substr($in, 0, 9 + $length) = '';
    my ($text, @s);
    if ($question == 3) { $text = eval { content($path) } }
    elsif ($question == 2) { $text = eval { require Cwd; Cwd::realpath($path) } }
    else { @s = $question ? stat $path : lstat $path }
    $text = join ' ', @s[2, 1, 0, 3, 4, 5, 7, 8, 10, 9] if @s;
    $text = 'E' . ($! + 0) . " $!" unless defined $text;
    $out .= pack('NN', 4 + length $text, $id) . $text;
    flush() if length $out > 262144;
  }
  flush();
}`;

/** What the login shell is asked to run. */
export const statLoopArgv = ['perl', '-e', script];

export const statLoopLine = commandLine(statLoopArgv, { env: { PERL5OPT: '', PERL_UNICODE: '0' } });

/** The loop ended or was dropped with the request unanswered. */
export class StatLoopLost extends Error {
  override readonly name = 'StatLoopLost';
}

/** How a loop ended. */
export interface StatLoopEnd {
  /** It never answered and that was its own doing: it ended by itself, or something else wrote in its place. */
  readonly isUnusable: boolean;
  /** When the host said so. */
  readonly exitCode: number | undefined;
}

export interface StatLoop {
  readonly isOpen: boolean;
  readonly pending: number;
  /** Milliseconds that the oldest question has waited; 0 without any. */
  readonly oldestPendingMs: number;
  /** Rejects with StatLoopLost. */
  ask(path: Buffer, question: StatQuestion): Promise<Buffer>;
  /** `wasStuck`: it did not answer, and its process may live on. */
  close(wasStuck: boolean): void;
}

interface Question {
  readonly since: number;
  resolve(answer: Buffer): void;
  reject(error: Error): void;
}

const answerBytesMax = 64 * 1024;

/** Takes over the channel. */
export function startStatLoop(channel: LentChannel, onEnd: (end: StatLoopEnd) => void): StatLoop {
  const { stream } = channel;
  const send = batchedWrites(stream);
  const pending = new Map<number, Question>();
  let nextId = 1;
  let isOpen = true;
  let hasAnswered = false;
  let isUnreadable = false;

  function end(wasStuck: boolean): void {
    if (!isOpen) return;
    isOpen = false;
    stream.close();
    channel.release(wasStuck ? 'stuck' : 'done');
    for (const waiting of pending.values()) waiting.reject(new StatLoopLost('The stat loop ended'));
    pending.clear();
    const exitCode = channel.exit()?.code;
    onEnd({ isUnusable: !hasAnswered && (isUnreadable || exitCode !== undefined), exitCode });
  }

  const feed = createPacketReader(answerBytesMax, (answer) => {
    hasAnswered = true;
    const id = answer.readUInt32BE(0);
    pending.get(id)?.resolve(answer.subarray(4));
    pending.delete(id);
  });
  stream.on('data', (chunk: Buffer) => {
    try {
      feed(chunk);
    } catch {
      isUnreadable = true;
      end(false); // a start-up file of the shell wrote to standard output: the answers cannot be told apart
    }
  });
  stream.stderr.resume();
  stream.on('error', () => undefined); // its close follows
  stream.once('close', () => end(false));

  return {
    get isOpen() {
      return isOpen;
    },
    get pending() {
      return pending.size;
    },
    get oldestPendingMs() {
      const [oldest] = pending.values();
      return oldest ? performance.now() - oldest.since : 0;
    },
    ask(path, question) {
      if (!isOpen) return Promise.reject(new StatLoopLost('The stat loop is closed'));
      const id = nextId;
      nextId = (nextId + 1) >>> 0 || 1;
      return new Promise((resolve, reject) => {
        pending.set(id, { since: performance.now(), resolve, reject });
        send(Buffer.concat([uint32(id), Buffer.from([questions[question]]), sshString(path)]));
      });
    },
    close: end,
  };
}
