/** Work that goes on on a login node by itself: started once, looked at now and then, ended, cleaned up after. */
import type { Word } from '../../shared/commands/command-line.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { remoteFailure } from '../operations/remote-failure.ts';
import type { RemoteFiles } from '../ssh/remote-files.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';
import { noteProgram, stageProgram } from './staged-work-programs.ts';
import { followProgram, outputBytesMax, removeProgram, stopProgram, supervisorProgram } from './work-programs.ts';

/**
 * `absent`: nobody started it, or it was cleaned up. `starting`: its directory is there, nobody supervises it yet.
 * `queued`: a batch job is to start it. `elsewhere`: this login node cannot tell; a growing `beat` says that it lives.
 * `lost`: its supervisor died.
 */
export type WorkPhase = 'absent' | 'starting' | 'queued' | 'running' | 'elsewhere' | 'lost' | 'ended';

export interface WorkReport {
  phase: WorkPhase;
  /** Of work that ended. */
  exitCode: number;
  /** How long it took, where it ended. */
  seconds: number;
  beat: number;
  /** Bytes of the steps that are done. */
  doneBytes: number;
  /** What a tool has read that does not tell how far it is. */
  readBytes: number;
  /** Of the batch job it is, once that is known and noted. */
  jobId: string | null;
  /** Of a tree: what was read or written of it so far; null where nobody tells. */
  tree: { entries: number; bytes: number } | null;
  stdout: string;
  stderr: string;
}

export interface RemoteWork {
  argv: readonly Word[];
  /** For the standard input of the work: secrets, which are then on no command line. */
  input: string;
  /** It takes long: nobody waits for its end at the start. */
  isLong?: true;
}

type Host = { shell: RemoteShell };

/** Name of the directory in the user's home. */
export function workName(taskId: string): string {
  return `.goldcrest-transfer-${taskId}`;
}

/** Time that short work has to end before it is looked at another time. */
const firstWaitTenths = 15;
const cannotMake = 74;

/** Lays the work down for a batch job, once however often it is called; `line` is its command line. */
export async function stageWork(
  { shell }: Host,
  name: string,
  line: string,
  input: string,
  isAgain: boolean,
): Promise<{ report: WorkReport; isFresh: boolean; directory: string }> {
  const argv = [stageProgram, 'sh', name, isAgain ? 'again' : 'new', String(Buffer.byteLength(line) + 1)];
  const text = await say(shell, argv, `${line}\n${input}`);
  const facts = readFacts(text);
  return { report: parseReport(text), isFresh: facts.has('fresh'), directory: facts.get('directory') ?? '' };
}

/** Notes the id of the job in the work's directory. */
export async function noteJob({ shell }: Host, name: string, jobId: string): Promise<void> {
  const result = await shell.run(['sh', '-c', noteProgram, 'sh', name, jobId]);
  if (result.exitCode !== 0) throw remoteFailure('sh', result);
}

/** Starts the work, once however often it is called; `isAgain`: what an earlier, ended run of it did stays. */
export function startWork({ shell }: Host, name: string, work: RemoteWork, isAgain: boolean): Promise<WorkReport> {
  const wish = isAgain ? 'again' : 'start';
  const tenths = work.isLong ? 0 : firstWaitTenths;
  return ask(shell, [followProgram, 'sh', name, wish, String(tenths), supervisorProgram, ...work.argv], work.input);
}

export function lookAtWork({ shell }: Host, name: string): Promise<WorkReport> {
  return ask(shell, [followProgram, 'sh', name, 'look', '0', '']);
}

/** A supervisor that is silent for so long is looked at more closely. */
const closerLookMs = 4_000;

/**
 * What its state says of the work, by one request of SFTP and without a process on the login node: that it lives, and how far it is.
 * Null where that is not enough: it has ended, its beat stands still, or nothing can be read.
 */
export async function glanceAtWork(
  files: RemoteFiles,
  name: string,
  seen: { beat: number; beatAt: number },
): Promise<WorkReport | null> {
  const text = await files.readlink(`${name}/state`).then(String, () => '');
  const facts = readFacts(text);
  const beat = Number(facts.get('beat'));
  if (!(facts.has('end') && beat > 0)) return null;
  const isSame = beat === seen.beat;
  if (isSame && Date.now() - seen.beatAt > closerLookMs) return null;
  const phase = isSame ? 'elsewhere' : 'running';
  return { ...reportOf(facts, phase), beat };
}

/** Ends the work, if it can from this login node; what it reports may still be `running` or `elsewhere`. */
export function stopWork({ shell }: Host, name: string): Promise<WorkReport> {
  return ask(shell, [stopProgram, 'sh', name]);
}

/** Removes its directory. Safe to run twice. */
export async function removeWork({ shell }: Host, name: string): Promise<void> {
  const result = await shell.run(['sh', '-c', removeProgram, 'sh', name]);
  if (result.exitCode !== 0) throw remoteFailure('rm', result);
}

async function ask(shell: RemoteShell, words: readonly Word[], stdin = ''): Promise<WorkReport> {
  return parseReport(await say(shell, words, stdin));
}

async function say(shell: RemoteShell, words: readonly Word[], stdin: string): Promise<string> {
  const result = await shell.run(['sh', '-c', ...words], { stdin, outputBytesMax: 4 * outputBytesMax });
  if (result.exitCode === cannotMake) {
    const reason = result.stderr.toString().trim();
    throw new BrokerError('RemoteCommandFailed', `The work could not be started in your home directory: ${reason}`);
  }
  // Somebody ended the look, which says nothing of the work.
  if (result.exitCode === null) throw new BrokerError('SshUnavailable', 'The look at the work was ended by a signal.');
  if (result.exitCode !== 0) throw remoteFailure('sh', result);
  return result.stdout.toString();
}

const phases = new Set<string>(['absent', 'starting', 'running', 'elsewhere', 'lost', 'ended']);

/**
 * Lines `name value`, the last one `end`:
 *
 *     directory /home/alice/.goldcrest-transfer-0190…
 *     state ended 0 5125.30 5127.81
 *     beat 2
 *     bytes 134217728
 *     out c2hhMjU2IDNh…
 *     err
 *     end
 */
export function parseReport(text: string): WorkReport {
  const facts = readFacts(text);
  const [phase = '', code, begun, over] = (facts.get('state') ?? '').split(' ');
  if (!phases.has(phase) || !facts.has('end')) {
    throw new BrokerError('RemoteCommandFailed', 'The state of the work could not be read.', { detail: { text } });
  }
  return {
    ...reportOf(facts, phase as WorkPhase),
    exitCode: code === undefined ? -1 : Number(code),
    seconds: Math.max(0, Math.round((Number(over ?? 0) - Number(begun ?? 0)) * 100) / 100),
  };
}

function reportOf(facts: Map<string, string>, phase: WorkPhase): WorkReport {
  const decoded = (name: string) => Buffer.from(facts.get(name) ?? '', 'base64').toString();
  return {
    phase,
    exitCode: -1,
    seconds: 0,
    beat: Number(facts.get('beat') ?? 0),
    doneBytes: Number(facts.get('bytes') ?? 0),
    readBytes: Number(facts.get('read') ?? 0),
    jobId: facts.get('job') ?? null,
    tree: treeOf(facts.get('entries')),
    stdout: decoded('out'),
    stderr: decoded('err'),
  };
}

/** A login script may write to the output too; what it says comes before ours. */
function readFacts(text: string): Map<string, string> {
  const lines = text.split('\n');
  return new Map(lines.map((line) => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

/** `<entries> <bytes>`; a line that was caught half written is none. */
function treeOf(line: string | undefined): WorkReport['tree'] {
  const [, entries, bytes] = /^(\d+) (\d+)$/.exec(line ?? '') ?? [];
  return bytes === undefined ? null : { entries: Number(entries), bytes: Number(bytes) };
}
