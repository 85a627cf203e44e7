/** The cells of the bench of transfers. Each starts a broker of its own for one mover, and gives rows of figures. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, type BrokerOptions, startBroker } from '../lab/broker.ts';
import type { Lab } from '../lab/lab.ts';
import { openSlowLink } from '../lab/slow-link.ts';
import { type LabUser, userNamed } from '../lab/users.ts';
import { peakMebibytes, preciseCpuSeconds } from './process-cpu.ts';
import {
  type Begun,
  contentOf,
  curl,
  inPlace,
  makeFile,
  mebi,
  memoryFolder,
  openTransferClient,
  rawSsh,
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
  /** Most resident memory of the worker. */
  workerMebibytes?: number;
}

type Cell = (lab: Lab, isQuick: boolean) => Promise<TransferRow[]>;

interface Ground {
  broker: Broker;
  client: TransferClient;
  alice: LabUser;
  folder: ReturnType<typeof memoryFolder>;
}

/** Of the capped link. */
const cappedBytesPerSecond = 20_000_000;
const lanes = 8;
const partBytes = 128 * mebi;
/** So long the broker is watched doing nothing. */
const idleMs = 8_000;

async function onGround<T>(
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
    fileSystems: [{ path: '/dev/shm', data_type: 'scratch', default_work_dir: true }],
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

function pidsOf({ api, workers }: Broker): number[] {
  return [api, ...workers].map((daemon) => daemon.pid()).filter((pid) => pid !== undefined);
}

/** One upload, watched from the client's completion to the end of its task. */
async function watchedUpload(ground: Ground, name: string, sizeBytes: number, saysDigest = true) {
  const { part, sha256 } = contentOf(sizeBytes, partBytes);
  const begun = await ground.client.upload(ground.folder.at(name), sizeBytes, saysDigest ? sha256 : undefined);
  const complete = await sendParts(begun, part, sizeBytes);
  const pids = pidsOf(ground.broker);
  const before = preciseCpuSeconds(pids);
  await complete();
  const completedAt = performance.now();
  const ended = ground.client.end(begun.id);
  const placedAt = await inPlace(ground.folder.at(name), sizeBytes);
  const { result } = await ended;
  const endedAt = performance.now();
  return {
    seconds: result.seconds,
    cpuSeconds: preciseCpuSeconds(pids) - before,
    inPlaceSeconds: (placedAt - completedAt) / 1_000,
    noticedSeconds: (endedAt - placedAt) / 1_000,
  };
}

async function watchedDownload(
  { client, broker }: Ground,
  path: string,
): Promise<Begun & { seconds: number; cpuSeconds: number }> {
  const before = preciseCpuSeconds(pidsOf(broker));
  const begun = await client.download(path);
  const { result } = await client.end(begun.id);
  return { ...begun, seconds: result.seconds, cpuSeconds: preciseCpuSeconds(pidsOf(broker)) - before };
}

/** Against plain curl of the same object on the same host; the two take turns. */
const command: Cell = (lab, isQuick) =>
  onGround(lab, 'command', {}, async (ground) => {
    const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
    const { folder, alice } = ground;
    await makeFile(folder.at('out'), sizeBytes, alice);
    const ups: Awaited<ReturnType<typeof watchedUpload>>[] = [];
    const downs: Awaited<ReturnType<typeof watchedDownload>>[] = [];
    const curls: number[] = [];
    for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
      const down = await watchedDownload(ground, folder.at('out'));
      downs.push(down);
      curls.push(await curl(down.downloadUrl, folder.at('by-curl')));
      ups.push(await watchedUpload(ground, `up-${round}`, sizeBytes));
    }
    const unnamed = await watchedUpload(ground, 'unnamed', sizeBytes, false);
    const of = (name: 'seconds' | 'cpuSeconds' | 'inPlaceSeconds' | 'noticedSeconds') =>
      middle(ups.map((up) => up[name]));
    return [
      { cell: 'command', what: 'plain curl', sizeBytes, seconds: middle(curls) },
      {
        ...{ cell: 'command', what: 'upload', sizeBytes, seconds: of('seconds'), cpuSeconds: of('cpuSeconds') },
        ...{ inPlaceSeconds: of('inPlaceSeconds'), noticedSeconds: of('noticedSeconds') },
      },
      { cell: 'command', what: 'upload without a digest', sizeBytes, seconds: unnamed.seconds },
      {
        ...{ cell: 'command', what: 'download', sizeBytes, seconds: middle(downs.map(({ seconds }) => seconds)) },
        cpuSeconds: middle(downs.map((down) => down.cpuSeconds)),
      },
      ...(await costs('command', ground, isQuick)),
    ];
  });

/** Over a link that gives each connection 20 MB/s: one connection of plain curl, and the mover's eight. */
const capped: Cell = async (lab, isQuick) => {
  const link = await openSlowLink(lab.s3.endpoint, cappedBytesPerSecond);
  try {
    return await onGround(lab, 'command', { staging: { private_url: link.url } }, async (ground) => {
      const sizeBytes = (isQuick ? 256 : 512) * mebi;
      const { folder, alice } = ground;
      await makeFile(folder.at('out'), sizeBytes, alice);
      const down = await watchedDownload(ground, folder.at('out'));
      const plain = await curl(down.downloadUrl, folder.at('by-curl'), link.url);
      const up = await watchedUpload(ground, 'up', sizeBytes);
      return [
        { cell: 'capped', what: 'one connection', sizeBytes, seconds: plain },
        { cell: 'capped', what: 'upload', sizeBytes, seconds: up.seconds },
        { cell: 'capped', what: 'download', sizeBytes, seconds: down.seconds },
      ];
    });
  } finally {
    await link.close();
  }
};

/**
 * Processor time of the broker, for a file that is bulk: what each transfer costs whatever its size is in it too, and what the
 * broker costs without any is not.
 */
async function costs(cell: string, ground: Ground, isQuick: boolean): Promise<TransferRow[]> {
  const sizeBytes = (isQuick ? 256 : 4_096) * mebi;
  // A service is measured as it runs for days, not in its first seconds.
  for (const name of ['warm-1', 'warm-2', 'warm-3']) await watchedUpload(ground, name, 16 * mebi);
  const pids = pidsOf(ground.broker);
  const before = preciseCpuSeconds(pids);
  await sleep(idleMs);
  const idlePerSecond = ((preciseCpuSeconds(pids) - before) * 1_000) / idleMs;
  const up = await watchedUpload(ground, 'large', sizeBytes);
  const idleSeconds = (up.inPlaceSeconds + up.noticedSeconds) * idlePerSecond;
  const cpuSeconds = Math.max(0, up.cpuSeconds - idleSeconds);
  return [{ cell, what: 'large upload', sizeBytes, seconds: up.seconds, cpuSeconds }];
}

const job: Cell = (lab, isQuick) =>
  onGround(lab, 'job', { dataOperation: { datatransfer_jobs_directives: ['#SBATCH --time=10'] } }, (ground) =>
    costs('job', ground, isQuick),
  );

/** Against the raw stream of one ssh2 channel; the two take turns. */
const stream: Cell = (lab, isQuick) =>
  onGround(lab, 'stream', {}, async (ground) => {
    const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
    const { folder, alice, broker } = ground;
    await makeFile(folder.at('out'), sizeBytes, alice);
    const raw = { out: [] as number[], in: [] as number[] };
    const moved = { out: [] as number[], in: [] as number[] };
    for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
      raw.out.push(await rawSsh(lab, alice, 'out', folder.at('out'), sizeBytes));
      moved.out.push((await watchedDownload(ground, folder.at('out'))).seconds);
      raw.in.push(await rawSsh(lab, alice, 'in', folder.at('raw'), sizeBytes));
      moved.in.push((await watchedUpload(ground, `up-${round}`, sizeBytes)).seconds);
    }
    const worker = broker.workers[0]?.pid() ?? 0;
    const workerMebibytes = peakMebibytes(worker);
    return [
      { cell: 'stream', what: 'raw ssh2, out', sizeBytes, seconds: middle(raw.out) },
      { cell: 'stream', what: 'download', sizeBytes, seconds: middle(moved.out), workerMebibytes },
      { cell: 'stream', what: 'raw ssh2, in', sizeBytes, seconds: middle(raw.in) },
      { cell: 'stream', what: 'upload', sizeBytes, seconds: middle(moved.in), workerMebibytes },
    ];
  });

export const transferCells: Readonly<Record<'command' | 'capped' | 'job' | 'stream', Cell>> = {
  command,
  capped,
  job,
  stream,
};
