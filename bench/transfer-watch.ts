/** What the cells of the bench of transfers share: a broker with one mover, and transfers that are watched. */
import { type Broker, type BrokerOptions, startBroker } from '../lab/broker.ts';
import type { Lab } from '../lab/lab.ts';
import { type LabUser, userNamed } from '../lab/users.ts';
import { type MemoryFolder, memoryFolder, memoryRoot } from './memory-folder.ts';
import { machineCpuSeconds, preciseCpuSeconds } from './process-cpu.ts';
import {
  type Begun,
  contentOf,
  inPlace,
  mebi,
  openTransferClient,
  sendParts,
  type TransferClient,
} from './transfer-ground.ts';

/** One figure. Seconds are the middle one of the rounds. */
export interface TransferRow {
  cell: string;
  what: string;
  sizeBytes: number;
  seconds: number;
  /** Processor time of the broker for it: API and worker. */
  cpuSeconds?: number;
  /** From the client's completion to the file in place, and from there to the end of the task. */
  inPlaceSeconds?: number;
  noticedSeconds?: number;
  /** Processor time of everything on the machine for it: store, plain tools or mover, sshd, broker, client. */
  machineSeconds?: number;
  /** Most resident memory of the worker. */
  workerMebibytes?: number;
}

export type Cost = Required<Pick<TransferRow, 'seconds' | 'cpuSeconds' | 'machineSeconds'>>;

export type Cell = (lab: Lab, isQuick: boolean) => Promise<TransferRow[]>;

export interface Ground {
  broker: Broker;
  client: TransferClient;
  alice: LabUser;
  folder: MemoryFolder;
}

/** Parts that move at once, and the parts of an upload. */
const lanes = 8;
export const partBytes = 128 * mebi;

export async function onGround<T>(
  lab: Lab,
  mover: 'command' | 'job' | 'stream',
  options: BrokerOptions,
  work: (ground: Ground) => Promise<T>,
): Promise<T> {
  const alice = userNamed(lab.users, 'alice');
  const folder = memoryFolder(alice);
  const broker = await startBroker(lab, {
    ...{ isCompiled: true, name: `bench-${mover}-${folder.path.slice(-4)}`, s3: lab.s3 },
    ...{ scheduler: mover === 'job' ? 'slurm' : 'process' },
    ...options,
    staging: { multipart: { max_part_size: partBytes, parallel_runs: lanes }, ...options.staging },
    fileSystems: [{ path: memoryRoot, data_type: 'scratch', default_work_dir: true }],
    goldcrest: { systems: { lab: { host_keys: { pinned: [lab.sshd.hostKey] }, transfers: { mover } } } },
  });
  try {
    return await work({ broker, client: await openTransferClient(lab, broker), alice, folder });
  } finally {
    await broker.stop();
    folder.remove();
  }
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}

export function pidsOf({ api, workers }: Broker): number[] {
  return [api, ...workers].map((daemon) => daemon.pid()).filter((pid) => pid !== undefined);
}

/** One upload, watched from the client's completion to the end of its task. */
export async function watchedUpload(ground: Ground, name: string, sizeBytes: number, saysDigest = true) {
  const { part, sha256 } = contentOf(sizeBytes, partBytes);
  const begun = await ground.client.upload(ground.folder.at(name), sizeBytes, saysDigest ? sha256 : undefined);
  const complete = await sendParts(begun, part, sizeBytes);
  const pids = pidsOf(ground.broker);
  const [before, machineBefore] = [preciseCpuSeconds(pids), machineCpuSeconds()];
  await complete();
  const completedAt = performance.now();
  const ended = ground.client.end(begun.id);
  const placedAt = await inPlace(ground.folder.at(name), sizeBytes);
  const { result } = await ended;
  const endedAt = performance.now();
  return {
    seconds: result.seconds,
    cpuSeconds: preciseCpuSeconds(pids) - before,
    machineSeconds: machineCpuSeconds() - machineBefore,
    inPlaceSeconds: (placedAt - completedAt) / 1_000,
    noticedSeconds: (endedAt - placedAt) / 1_000,
  };
}

export async function watchedDownload({ client, broker }: Ground, path: string): Promise<Begun & Cost> {
  const [before, machineBefore] = [preciseCpuSeconds(pidsOf(broker)), machineCpuSeconds()];
  const begun = await client.download(path);
  const { result } = await client.end(begun.id);
  const cpuSeconds = preciseCpuSeconds(pidsOf(broker)) - before;
  return { ...begun, seconds: result.seconds, cpuSeconds, machineSeconds: machineCpuSeconds() - machineBefore };
}

/** A plain tool, and what it costs the machine. */
export async function plain(work: () => Promise<number>): Promise<Pick<Cost, 'seconds' | 'machineSeconds'>> {
  const before = machineCpuSeconds();
  const seconds = await work();
  return { seconds, machineSeconds: machineCpuSeconds() - before };
}

/** The middle one of each figure of several rounds. */
export function middleOf<Figure extends string>(rounds: readonly Record<Figure, number>[], ...figures: Figure[]) {
  return Object.fromEntries(figures.map((name) => [name, middle(rounds.map((round) => round[name]))])) as Record<
    Figure,
    number
  >;
}
