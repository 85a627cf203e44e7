/** The cells of the bench of transfers. Each starts a broker of its own for one mover, and gives rows of figures. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, type BrokerOptions, startBroker } from '../lab/broker.ts';
import type { Lab } from '../lab/lab.ts';
import { openSlowLink } from '../lab/slow-link.ts';
import { type LabUser, userNamed } from '../lab/users.ts';
import { curl, curlBy, hashedCurl, plainRelay, rawSsh } from './plain-tools.ts';
import { machineCpuSeconds, peakMebibytes, preciseCpuSeconds } from './process-cpu.ts';
import {
  type Begun,
  contentOf,
  inPlace,
  makeFile,
  mebi,
  memoryFolder,
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

type Cost = Required<Pick<TransferRow, 'seconds' | 'cpuSeconds' | 'machineSeconds'>>;

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
const smallBytes = 16 * mebi;
/** So long the broker is watched doing nothing. */
const idleMs = 10_000;

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

async function watchedDownload({ client, broker }: Ground, path: string): Promise<Begun & Cost> {
  const [before, machineBefore] = [preciseCpuSeconds(pidsOf(broker)), machineCpuSeconds()];
  const begun = await client.download(path);
  const { result } = await client.end(begun.id);
  const cpuSeconds = preciseCpuSeconds(pidsOf(broker)) - before;
  return { ...begun, seconds: result.seconds, cpuSeconds, machineSeconds: machineCpuSeconds() - machineBefore };
}

/** A plain tool, and what it costs the machine. */
async function plain(work: () => Promise<number>): Promise<Pick<Cost, 'seconds' | 'machineSeconds'>> {
  const before = machineCpuSeconds();
  const seconds = await work();
  return { seconds, machineSeconds: machineCpuSeconds() - before };
}

/** The middle one of each figure of several rounds. */
function middleOf<Figure extends string>(rounds: readonly Record<Figure, number>[], ...figures: Figure[]) {
  return Object.fromEntries(figures.map((name) => [name, middle(rounds.map((round) => round[name]))])) as Record<
    Figure,
    number
  >;
}

/** Against plain curl of the same object on the same host; the two take turns. */
const command: Cell = (lab, isQuick) =>
  onGround(lab, 'command', {}, async (ground) => {
    const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
    const { folder, alice } = ground;
    await makeFile(folder.at('out'), sizeBytes, alice);
    const ups: Awaited<ReturnType<typeof watchedUpload>>[] = [];
    const downs: Cost[] = [];
    const curls: Awaited<ReturnType<typeof plain>>[] = [];
    const hashed: typeof curls = [];
    for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
      const down = await watchedDownload(ground, folder.at('out'));
      downs.push(down);
      curls.push(await plain(() => curl(down.downloadUrl, folder.at('by-curl'))));
      ups.push(await watchedUpload(ground, `up-${round}`, sizeBytes));
      hashed.push(await plain(() => hashedCurl(down.downloadUrl, folder.at('by-curl'))));
    }
    const unnamed = await watchedUpload(ground, 'unnamed', sizeBytes, false);
    const { seconds, machineSeconds } = unnamed;
    const row = { cell: 'command', sizeBytes };
    return [
      { ...row, what: 'plain curl', ...middleOf(curls, 'seconds', 'machineSeconds') },
      { ...row, what: 'plain curl, tee, SHA-256', ...middleOf(hashed, 'seconds', 'machineSeconds') },
      {
        ...{ ...row, what: 'upload', ...middleOf(ups, 'seconds', 'cpuSeconds', 'machineSeconds') },
        ...middleOf(ups, 'inPlaceSeconds', 'noticedSeconds'),
      },
      { ...row, what: 'upload without a digest', seconds, machineSeconds },
      { ...row, what: 'download', ...middleOf(downs, 'seconds', 'cpuSeconds', 'machineSeconds') },
      ...(await costs('command', ground, isQuick)),
    ];
  });

/** Over a link that gives each connection 20 MB/s: one connection of plain curl, and the mover's eight. */
const capped: Cell = async (lab, isQuick) => {
  const link = await openSlowLink(lab.s3.endpoint, cappedBytesPerSecond);
  try {
    return await onGround(lab, 'command', { staging: { private_url: link.url } }, async (ground) => {
      const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
      const { folder, alice } = ground;
      await makeFile(folder.at('out'), sizeBytes, alice);
      const down = await watchedDownload(ground, folder.at('out'));
      // Long enough to know its rate.
      const aloneBytes = sizeBytes / 4;
      const alone = await curlBy(link.url, down.downloadUrl, folder.at('by-curl'), aloneBytes);
      const up = await watchedUpload(ground, 'up', sizeBytes);
      return [
        { cell: 'capped', what: 'one connection', sizeBytes: aloneBytes, seconds: alone },
        { cell: 'capped', what: 'upload', sizeBytes, seconds: up.seconds },
        { cell: 'capped', what: 'download', sizeBytes, seconds: down.seconds },
      ];
    });
  } finally {
    await link.close();
  }
};

/** Of `cell`, for small files and for one that is bulk: what the broker costs in the same time without any transfer is taken off. */
async function costs(cell: string, ground: Ground, isQuick: boolean): Promise<TransferRow[]> {
  // A service is measured as it runs for days, not in its first seconds.
  for (const name of ['warm-1', 'warm-2', 'warm-3']) await watchedUpload(ground, name, smallBytes);
  const pids = pidsOf(ground.broker);
  const before = preciseCpuSeconds(pids);
  await sleep(idleMs);
  const idlePerSecond = ((preciseCpuSeconds(pids) - before) * 1_000) / idleMs;
  const withoutIdle = (up: Awaited<ReturnType<typeof watchedUpload>>) => ({
    ...up,
    cpuSeconds: up.cpuSeconds - (up.inPlaceSeconds + up.noticedSeconds) * idlePerSecond,
  });
  const small: Cost[] = [];
  for (let round = 0; round < 5; round += 1) {
    small.push(withoutIdle(await watchedUpload(ground, `small-${round}`, smallBytes)));
  }
  const sizeBytes = (isQuick ? 256 : 4_096) * mebi;
  const { seconds, cpuSeconds, machineSeconds } = withoutIdle(await watchedUpload(ground, 'large', sizeBytes));
  return [
    { cell, what: 'small upload', sizeBytes: smallBytes, ...middleOf(small, 'seconds', 'cpuSeconds') },
    { cell, what: 'large upload', sizeBytes, seconds, cpuSeconds, machineSeconds },
  ];
}

const job: Cell = (lab, isQuick) =>
  onGround(lab, 'job', { dataOperation: { datatransfer_jobs_directives: ['#SBATCH --time=10'] } }, (ground) =>
    costs('job', ground, isQuick),
  );

/** What a relay without hashing makes of the same store: parts of an upload that is then taken back. */
async function relay(lab: Lab, { client, alice, folder }: Ground, path: string, sizeBytes: number) {
  const begun = await client.upload(folder.at('relayed'), sizeBytes);
  const figures = await plain(() => plainRelay(lab, alice, path, sizeBytes, begun));
  await client.cancel(begun.id);
  return figures;
}

/** Against the raw stream of one ssh2 channel; the two take turns. */
const stream: Cell = (lab, isQuick) =>
  onGround(lab, 'stream', {}, async (ground) => {
    const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
    const { folder, alice, broker } = ground;
    await makeFile(folder.at('out'), sizeBytes, alice);
    type Figures = Pick<Cost, 'seconds' | 'machineSeconds'>[];
    const raw = { out: [] as Figures, in: [] as Figures };
    const moved = { out: [] as Figures, in: [] as Figures };
    const relayed: Figures = [];
    for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
      raw.out.push(await plain(() => rawSsh(lab, alice, 'out', folder.at('out'), sizeBytes)));
      moved.out.push(await watchedDownload(ground, folder.at('out')));
      relayed.push(await relay(lab, ground, folder.at('out'), sizeBytes));
      raw.in.push(await plain(() => rawSsh(lab, alice, 'in', folder.at('raw'), sizeBytes)));
      moved.in.push(await watchedUpload(ground, `up-${round}`, sizeBytes));
    }
    const worker = broker.workers[0]?.pid() ?? 0;
    const workerMebibytes = peakMebibytes(worker);
    const row = { cell: 'stream', sizeBytes };
    const figures = ['seconds', 'machineSeconds'] as const;
    return [
      { ...row, what: 'raw ssh2, out', ...middleOf(raw.out, ...figures) },
      { ...row, what: 'plain relay', ...middleOf(relayed, ...figures) },
      { ...row, what: 'download', ...middleOf(moved.out, ...figures), workerMebibytes },
      { ...row, what: 'raw ssh2, in', ...middleOf(raw.in, ...figures) },
      { ...row, what: 'upload', ...middleOf(moved.in, ...figures), workerMebibytes },
    ];
  });

export const transferCells: Readonly<Record<'command' | 'capped' | 'job' | 'stream', Cell>> = {
  command,
  capped,
  job,
  stream,
};
