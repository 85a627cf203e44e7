/**
 * The mover that is a program on the cluster (`mover-programs.ts`): the bytes go between the cluster and the store
 * without passing here. Where the program runs is the affair of the work's place: on the login node, or in a batch job.
 */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';
import { Parked } from '../operations/parked.ts';
import { remoteFailure } from '../operations/remote-failure.ts';
import { carryOut } from './carry-out.ts';
import type { Mover } from './mover.ts';
import { moverExit, spaceSayings } from './mover-programs.ts';
import type { ObjectCheck } from './object-check.ts';
import { pullProgram } from './pull-program.ts';
import { pushProgram } from './push-program.ts';
import { lanesOf, movedPartBytes, stagingOf } from './staged-transfer.ts';
import type { WorkEnd } from './transfer-journal.ts';

export const scriptMover: Mover = {
  async pull({ staged, partPath, path, sha256, check, account }, journal, context) {
    const settings = [staged.sizeBytes, rangeBytesOf(staged.sizeBytes), lanesOf(context)].map(String);
    const sums = [sha256 ?? '', ...checkWords(check)];
    const argv = ['sh', '-c', pullProgram, 'goldcrest-pull', partPath, path, ...settings, ...sums];
    const prepare = async () => ({ argv, input: `${await stagingOf(context).signDownload(staged, 'cluster')}\n` });
    const end = await carryOut({ prepare, account, ...repeatable(staged) }, journal, context);
    return end instanceof Parked ? end : { sha256: digestOf(end, path), seconds: end.seconds };
  },

  async push({ staged, path, mtime, account }, journal, context) {
    const settings = [staged.sizeBytes, mtime, staged.partSizeBytes, lanesOf(context)].map(String);
    const argv = ['sh', '-c', pushProgram, 'goldcrest-push', path, ...settings];
    const prepare = async () => {
      const urls = await stagingOf(context).signParts(staged, 1, staged.partsCount, 'cluster');
      return { argv, input: `${urls.join('\n')}\n` };
    };
    const end = await carryOut({ prepare, account, ...repeatable(staged) }, journal, context);
    if (end instanceof Parked) return end;
    return { sha256: digestOf(end, path), seconds: end.seconds, etags: etagsOf(end, staged) };
  },
};

const rangesWanted = 16;
const rangeBytesMin = 8 * 2 ** 20;

/**
 * Bytes of a range, whole MiB. A file is hashed in its order, so what is under way in all lanes at the end is hashed when all
 * has come: in small files that is to be little too.
 */
export function rangeBytesOf(sizeBytes: number): number {
  const wished = Math.ceil(sizeBytes / rangesWanted / 2 ** 20) * 2 ** 20;
  return Math.min(movedPartBytes, Math.max(rangeBytesMin, wished));
}

/** What the programs take of it. */
export function checkWords(check: ObjectCheck | null): [etag: string, partBytes: string] {
  return check === null ? ['', ''] : [check.etag, String(check.partSizeBytes)];
}

/** 128 and SIGTERM: a job came to its time limit, a login node was shut down. */
const terminated = 143;
/** Ends that another run goes on from. */
export const continuedExits: ReadonlySet<number> = new Set<number>([moverExit.refused, moverExit.silent, terminated]);

/** A run whose addresses had run out, or that was ended from outside, is followed by one that goes on where it ended. */
function repeatable({ sizeBytes }: StagedFile) {
  const isToBeContinued = ({ exitCode }: WorkEnd) => continuedExits.has(exitCode);
  return { isRepeatable: true, isToBeContinued, totalBytes: sizeBytes };
}

/** The digest of a run that came to a good end. Throws what it failed with. */
export function digestOf(end: WorkEnd, path: string): string {
  if (end.exitCode !== 0) throw moverFailure(end, path);
  const digest = /^sha256 ([0-9a-f]{64})$/m.exec(end.stdout)?.[1];
  if (digest === undefined) throw new BrokerError('TransferFailed', 'The mover did not tell what it moved.');
  return digest;
}

/** In the order of the parts; the program counts them from 0 and tells them as they were done. */
function etagsOf({ stdout }: WorkEnd, { partsCount }: StagedFile): string[] {
  const told = new Map([...stdout.matchAll(/^part (\d+) (\S+)$/gm)].map(([, number, etag]) => [Number(number), etag]));
  return Array.from({ length: partsCount }, (_, number) => {
    const etag = told.get(number);
    if (etag === undefined) throw new BrokerError('TransferFailed', `The mover did not tell of part ${number + 1}.`);
    return etag;
  });
}

/** The program's own last line is what a person should read; the tools' lines before it have their usual meanings. */
export function moverFailure(end: WorkEnd, path: string): BrokerError {
  const said = end.stderr.trim().split('\n').at(-1) ?? '';
  const { exitCode, stdout, stderr } = end;
  const codes = Object.values(moverExit) as number[];
  if (exitCode !== moverExit.file && codes.includes(exitCode)) {
    return new BrokerError('TransferFailed', `The transfer of ${path} failed: ${said}.`, {
      detail: { exitCode, stderr },
    });
  }
  const result = { exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) };
  return remoteFailure('transfer', result, spaceSayings);
}
