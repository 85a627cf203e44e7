/** One plain sentence on what became of a job: data, in the order in which they are tried. */
import type { JobDiagnosis } from '../../shared/watches/diagnosis.ts';

export type Findings = Omit<JobDiagnosis, 'advice'>;

interface Advice {
  applies: (found: Findings) => boolean;
  say: (found: Findings) => string;
}

const mebibyte = 2 ** 20;

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.max(1, Math.round(bytes / mebibyte))} MiB`;
}

function minutes(seconds: number): string {
  return seconds >= 120 ? `${Math.round(seconds / 60)} minutes` : `${seconds} s`;
}

function memoryWords({ memory: { usedBytes, requestedBytes } }: Findings): string {
  if (requestedBytes === null) return 'more memory than it had';
  const used = usedBytes === null ? '' : ` (it was last seen with ${size(usedBytes)})`;
  return `more memory than the ${size(requestedBytes)} it had${used}`;
}

/** What the shell says of a command that a signal ended: 128 and its number. */
function signalOf({ signal, exitCode }: Findings): number | null {
  if (signal !== null) return signal;
  return exitCode !== null && exitCode > 128 && exitCode < 160 ? exitCode - 128 : null;
}

const inState =
  (...states: string[]) =>
  ({ state }: Findings): boolean =>
    states.includes(state);
const withReason =
  (pattern: RegExp) =>
  ({ state, stateReason }: Findings): boolean =>
    state === 'PENDING' && pattern.test(stateReason ?? '');
const bySignal =
  (...signals: number[]) =>
  (found: Findings): boolean =>
    signals.includes(signalOf(found) ?? -1);

const notWritten = 'what it wrote last may tell more';

const advices: readonly Advice[] = [
  { applies: inState('COMPLETED'), say: () => 'The job ended well.' },
  {
    applies: withReason(/^DependencyNeverSatisfied$/),
    say: () =>
      'The job waits for another one that ended otherwise than it must, so it never starts: cancel it, and submit it with another dependency.',
  },
  {
    applies: withReason(/Held/),
    say: () => 'The job is held: release it, or ask the administrators where they hold it.',
  },
  {
    applies: withReason(/Limit|QOSMax|QOSGrp|Assoc/),
    say: ({ stateReason }) =>
      `The job waits for a limit of its account, partition or quality of service (${stateReason}): it starts when others have ended, or never where it asks for more than the limit.`,
  },
  {
    applies: inState('PENDING'),
    say: ({ stateReason }) => `The job waits${stateReason === null ? '' : ` (${stateReason})`}.`,
  },
  { applies: inState('RUNNING', 'SUSPENDED'), say: () => 'The job has not ended.' },
  {
    applies: inState('OUT_OF_MEMORY'),
    say: (found) => `The job took ${memoryWords(found)}: ask for more, or have the program use less.`,
  },
  {
    applies: inState('TIMEOUT', 'DEADLINE'),
    say: ({ time: { limitSeconds } }) =>
      `The job reached its time limit${limitSeconds === null ? '' : ` of ${minutes(limitSeconds)}`}: ask for more time, or have it write checkpoints and go on from them.`,
  },
  {
    applies: inState('NODE_FAIL', 'BOOT_FAIL'),
    say: () => 'A node of the job failed, which is no fault of the job: submit it again.',
  },
  {
    applies: inState('PREEMPTED'),
    say: () =>
      'The job made room for one of higher priority: submit it again, or use a partition in which jobs are not preempted.',
  },
  {
    applies: ({ state, stateReason }) => state === 'CANCELLED' && stateReason === 'DependencyNeverSatisfied',
    say: () =>
      'The job was canceled because another one that it waits for ended otherwise than it must: look at that one first.',
  },
  {
    applies: inState('CANCELLED'),
    say: ({ canceledBy, time: { usedSeconds } }) =>
      `The job was canceled${canceledBy === null ? '' : ` by ${canceledBy}`}${usedSeconds ? '' : ' before it started'}.`,
  },
  {
    applies: ({ exitCode }) => exitCode === 127,
    say: () => 'A command of the job was not found (exit code 127): load its module, or name it by its whole path.',
  },
  {
    applies: ({ exitCode }) => exitCode === 126,
    say: () =>
      'A command of the job may not be executed (exit code 126): check its permissions (`chmod +x`) and its first line.',
  },
  {
    applies: bySignal(9),
    say: (found) => `The job was killed (signal 9), by hand, or because it took ${memoryWords(found)}.`,
  },
  {
    applies: bySignal(11, 7),
    say: (found) =>
      `The program accessed memory that is not its own (signal ${signalOf(found)}): a defect in it, or too small a stack (\`ulimit -s\`).`,
  },
  { applies: bySignal(6), say: () => `The program gave up by itself (signal 6, abort): ${notWritten}.` },
  { applies: bySignal(8), say: () => 'The program divided by zero or met another arithmetic error (signal 8).' },
  {
    applies: bySignal(15),
    say: () =>
      'The job was asked to end (signal 15), by the scheduler, or by hand; it can catch that signal to write a checkpoint.',
  },
  { applies: bySignal(24), say: () => 'The program reached its limit of CPU time (signal 24, `ulimit -t`).' },
  {
    applies: bySignal(25),
    say: () => 'A file of the program became larger than it may (signal 25, `ulimit -f`), or a quota is full.',
  },
  {
    applies: (found) => signalOf(found) !== null,
    say: (found) => `Signal ${signalOf(found)} ended the program: ${notWritten}.`,
  },
  {
    applies: ({ stateReason }) => /LaunchFail|InvalidAccount|BadConstraints/i.test(stateReason ?? ''),
    say: ({ stateReason }) =>
      `The scheduler could not start the job (${stateReason}): check that its working directory and output files can be written on the nodes.`,
  },
  {
    applies: ({ exitCode }) => exitCode !== null && exitCode !== 0,
    say: ({ exitCode }) => `The job ended with exit code ${exitCode}: ${notWritten}.`,
  },
];

/** The first that applies. */
export function advise(found: Findings): string {
  const advice = advices.find(({ applies }) => applies(found));
  return advice?.say(found) ?? `The job ended as ${found.state}: ${notWritten}.`;
}
