/** The cells of the bench of transfers. Each starts a broker of its own for one mover, and gives rows of figures. */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { curl, hashedCurl } from './plain-tools.ts';
import { preciseCpuSeconds } from './process-cpu.ts';
import { makeFile, mebi } from './transfer-ground.ts';
import { capped, shared } from './transfer-link-cells.ts';
import { stream } from './transfer-stream-cell.ts';
import {
  type Cell,
  type Cost,
  type Ground,
  middleOf,
  onGround,
  pidsOf,
  plain,
  type TransferRow,
  watchedDownload,
  watchedUpload,
} from './transfer-watch.ts';

const smallBytes = 16 * mebi;
/** So long the broker is watched doing nothing, before the small ones. */
const idleMs = 10_000;

/** Against plain curl of the same object on the same host; the two take turns. */
const command: Cell = (lab, isQuick) =>
  onGround(lab, 'command', {}, async (ground) => {
    const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
    const { folder, alice } = ground;
    await makeFile(folder.at('out'), sizeBytes, alice);
    const ups: Up[] = [];
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

/** What the broker costs in a second without any transfer. */
async function idleCpuShare(ground: Ground, watchedMs: number): Promise<number> {
  const pids = pidsOf(ground.broker);
  const before = preciseCpuSeconds(pids);
  await sleep(watchedMs);
  return ((preciseCpuSeconds(pids) - before) * 1_000) / watchedMs;
}

type Up = Awaited<ReturnType<typeof watchedUpload>>;

function secondsOf({ inPlaceSeconds, noticedSeconds }: Up): number {
  return inPlaceSeconds + noticedSeconds;
}

function withoutIdle(up: Up, idleShare: number): Up {
  return { ...up, cpuSeconds: up.cpuSeconds - secondsOf(up) * idleShare };
}

/**
 * Of `cell`, for small files and for one that is bulk: what the broker costs in the same time without any transfer is taken off.
 * That is near to what the bulk costs, so each of its rounds is held against an idle time of its own, as long as the round.
 */
async function costs(cell: string, ground: Ground, isQuick: boolean): Promise<TransferRow[]> {
  // A service is measured as it runs for days, not in its first seconds.
  for (const name of ['warm-1', 'warm-2', 'warm-3']) await watchedUpload(ground, name, smallBytes);
  const idleShare = await idleCpuShare(ground, idleMs);
  const small: Cost[] = [];
  for (let round = 0; round < 5; round += 1) {
    small.push(withoutIdle(await watchedUpload(ground, `small-${round}`, smallBytes), idleShare));
  }
  const sizeBytes = (isQuick ? 256 : 4_096) * mebi;
  const large: Cost[] = [];
  for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
    const up = await watchedUpload(ground, 'large', sizeBytes);
    // Memory of this size is not there twice.
    rmSync(ground.folder.at('large'));
    large.push(withoutIdle(up, await idleCpuShare(ground, secondsOf(up) * 1_000)));
  }
  return [
    { cell, what: 'small upload', sizeBytes: smallBytes, ...middleOf(small, 'seconds', 'cpuSeconds') },
    { cell, what: 'large upload', sizeBytes, ...middleOf(large, 'seconds', 'cpuSeconds', 'machineSeconds') },
  ];
}

const job: Cell = (lab, isQuick) =>
  onGround(lab, 'job', { dataOperation: { datatransfer_jobs_directives: ['#SBATCH --time=10'] } }, (ground) =>
    costs('job', ground, isQuick),
  );

export const transferCells: Readonly<Record<'command' | 'capped' | 'shared' | 'job' | 'stream', Cell>> = {
  command,
  capped,
  shared,
  job,
  stream,
};
