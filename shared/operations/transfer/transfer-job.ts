/**
 * What FirecREST v2 answers when work on files goes on as a job, and where that job's logs seem to be. There is a task
 * behind each such job, and no file behind its logs: they are told from the task.
 */
import { posix } from 'node:path';
import { z } from 'zod';
import { BrokerError } from '../../errors/broker-error.ts';
import type { FileSystemConfig } from '../../platform/config/config.ts';
import { objectBytesMax } from '../../staging/part-plan.ts';
import { laxInteger, optionalLine } from '../fields.ts';
import type { AdmittingSystem } from '../operation.ts';
import { methodUnavailable } from './transfer-method.ts';

const transferJob = z.object({
  jobId: z.string(),
  system: z.string(),
  workingDirectory: z.string(),
  logs: z.object({ outputLog: z.string(), errorLog: z.string() }),
});

export type TransferJob = z.infer<typeof transferJob>;

/** The answer of work that takes no bytes from the client and gives none. */
export const transferJobBody = z.object({ transferJob });

/** The answers of upload and download; what the client does next is in the directives. */
const streamer = z.object({
  transferMethod: z.literal('streamer'),
  coordinates: z.string().describe('For `streamer send` and `streamer receive`; whoever has them may connect'),
});
export const uploadBody = z.object({
  transferJob,
  transferDirectives: z.discriminatedUnion('transferMethod', [
    z.object({
      transferMethod: z.literal('s3'),
      partsUploadUrls: z.array(z.string()),
      completeUploadUrl: z.string(),
      maxPartSize: z.int(),
    }),
    streamer,
    z.object({ transferMethod: z.literal('wormhole') }),
  ]),
});
export const downloadBody = z.object({
  transferJob,
  transferDirectives: z.discriminatedUnion('transferMethod', [
    z.object({ transferMethod: z.literal('s3'), downloadUrl: z.string() }),
    streamer,
    z.object({
      transferMethod: z.literal('wormhole'),
      wormholeCode: z
        .string()
        .describe('For `wormhole receive`; whoever has it first gets the file, and it is good once'),
    }),
  ]),
});

/** Whom a batch job that does the work is charged to. */
export const account = optionalLine(1_024).describe('Account to charge, where the system does such work in batch jobs');

/** Bytes of a file that the staging store can hold. */
export const fileSize = laxInteger
  .refine((bytes) => bytes >= 0, 'must not be negative')
  .refine((bytes) => bytes <= objectBytesMax, `must be at most ${objectBytesMax}, the largest object of an S3 store`);

/** How long the work took. */
export const tookSeconds = z.number().describe('Seconds the work took on the cluster');

/** What every transfer through the staging store tells of its end. */
export const movedBytes = {
  bytes: z.int(),
  sha256: z.string().describe('SHA-256 of the whole file, hexadecimal, computed on the cluster'),
  seconds: tookSeconds,
  megabytesPerSecond: z.number().describe('10^6 bytes a second'),
};

/** InvalidRequest for what cannot be an account; AccountRequired where the work is a batch job, a directive names an account, and none was sent. */
export function admitAccount({ account: given }: { account: string | null }, system: AdmittingSystem): void {
  const isNeeded = system.dataOperation.jobDirectives.some((line) => line.includes('{account}'));
  if (system.transfers.mover !== 'job') return;
  if (given !== null && !/^[\w.@+-]+$/.test(given)) {
    throw new BrokerError('InvalidRequest', 'Invalid request: `account` must be one word, the name of an account.');
  }
  if (!isNeeded || given !== null) return;
  throw new BrokerError('AccountRequired', 'Account parameter is required on this system.');
}

/** What work on files has in common that may go on for long, and is a job to FirecREST's clients. */
export const worksOnFiles = {
  relation: 'write_files',
  requires: ['ssh', 'filesystem'],
  lane: 'move',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  admit: admitAccount,
  timeoutMs: 120_000,
} as const;

/** That job, by its name and what its log says at a good end. */
export function fileJob(name: string, successLine: string) {
  return { name, answersWhen: 'accepted', body: transferJobBody, successLine: () => successLine } as const;
}

/** The account rule, and TransferMethodUnavailable where the client asks for another way than the system has. */
export function admitMethod(
  input: { account: string | null; transferDirectives: { transferMethod: string } },
  system: AdmittingSystem,
): void {
  if (input.transferDirectives.transferMethod !== system.dataOperation.dataTransfer?.type) {
    throw methodUnavailable(system);
  }
  admitAccount(input, system);
}

/** The account rule, and TransferMethodUnavailable where the system has no staging store. */
export function admitStaged(input: { account: string | null }, system: AdmittingSystem): void {
  if (system.dataOperation.dataTransfer?.type !== 's3') throw methodUnavailable(system, 'system');
  admitAccount(input, system);
}

const logName = /^\.f7t_file_handling_job_(error_)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.log$/;

/** The job of a task as clients see it: in the user's folder of the default work directory, as FirecREST's would be. */
export function transferJobOf(
  task: { id: string; jobId: string | null; principal: { username: string } },
  system: { name: string; fileSystems: readonly FileSystemConfig[] },
): TransferJob {
  const root = system.fileSystems.find(({ defaultWorkDir }) => defaultWorkDir) ?? system.fileSystems[0];
  const workingDirectory = posix.join(root?.path ?? '/', task.principal.username);
  const log = (mark: string) => posix.join(workingDirectory, `.f7t_file_handling_job_${mark}${task.id}.log`);
  return {
    jobId: task.jobId ?? '',
    system: system.name,
    workingDirectory,
    logs: { outputLog: log(''), errorLog: log('error_') },
  };
}

/** The task whose log seems to be at that path, and which of the two it is; null for any other path. */
export function transferLogOf(path: string): { taskId: string; log: 'output' | 'error' } | null {
  const [, mark, taskId] = logName.exec(posix.basename(path)) ?? [];
  return taskId === undefined ? null : { taskId, log: mark === undefined ? 'output' : 'error' };
}
