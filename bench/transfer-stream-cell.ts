/** The cell of the mover whose bytes pass through the worker. */
import type { Lab } from '../lab/lab.ts';
import { openFakeStore } from './fake-store.ts';
import { plainRelay, rawSsh } from './plain-tools.ts';
import { peakMebibytes } from './process-cpu.ts';
import { makeFile, mebi } from './transfer-ground.ts';
import {
  type Cell,
  type Cost,
  type Ground,
  middleOf,
  onGround,
  plain,
  type TransferRow,
  watchedDownload,
  watchedUpload,
} from './transfer-watch.ts';

/** What the rows are called whose store is the fake. */
export const elsewhere = 'store elsewhere';

/** What a relay without hashing makes of the same store: parts of an upload that is then taken back. */
async function relay(lab: Lab, { client, alice, folder }: Ground, path: string, sizeBytes: number) {
  const begun = await client.upload(folder.at('relayed'), sizeBytes);
  const figures = await plain(() => plainRelay(lab, alice, path, sizeBytes, begun));
  await client.cancel(begun.id);
  return figures;
}

function peakOf({ broker }: Ground): number {
  return peakMebibytes(broker.workers[0]?.pid() ?? 0);
}

/**
 * Against the raw stream of one ssh2 channel, in turns. What goes out is measured into the lab's store and into one that
 * takes next to none of the machine's time, by two brokers of which one has nothing to do.
 */
export const stream: Cell = (lab, isQuick) =>
  onGround(lab, 'stream', {}, async (ground) => {
    const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
    const path = ground.folder.at('out');
    const fake = await openFakeStore(await makeFile(path, sizeBytes, ground.alice));
    try {
      return await onGround(lab, 'stream', { s3: fake.facts }, async (aside) => {
        const rows = await measure(lab, { ground, aside, path, sizeBytes, rounds: isQuick ? 1 : 3 });
        const [refused] = fake.refused;
        if (refused !== undefined) throw new Error(`the fake store refused ${refused}`);
        return rows;
      });
    } finally {
      await fake.close();
    }
  });

interface Measured {
  ground: Ground;
  /** Its store is the fake. */
  aside: Ground;
  path: string;
  sizeBytes: number;
  rounds: number;
}

async function measure(lab: Lab, { ground, aside, path, sizeBytes, rounds }: Measured): Promise<TransferRow[]> {
  const raw = (direction: 'out' | 'in', at: string) => plain(() => rawSsh(lab, ground.alice, direction, at, sizeBytes));
  const ways: Record<string, (round: number) => Promise<Pick<Cost, 'seconds' | 'machineSeconds'>>> = {
    'raw ssh2, out': () => raw('out', path),
    'plain relay': () => relay(lab, ground, path, sizeBytes),
    download: () => watchedDownload(ground, path),
    [`plain relay, ${elsewhere}`]: () => relay(lab, aside, path, sizeBytes),
    [`download, ${elsewhere}`]: () => watchedDownload(aside, path),
    'raw ssh2, in': () => raw('in', ground.folder.at('raw')),
    upload: (round) => watchedUpload(ground, `up-${round}`, sizeBytes),
  };
  const seen = new Map<string, Pick<Cost, 'seconds' | 'machineSeconds'>[]>();
  for (let round = 0; round < rounds; round += 1) {
    for (const [what, way] of Object.entries(ways)) seen.set(what, [...(seen.get(what) ?? []), await way(round)]);
  }
  const memory = (what: string) => {
    if (what === `download, ${elsewhere}`) return { workerMebibytes: peakOf(aside) };
    return what === 'download' || what === 'upload' ? { workerMebibytes: peakOf(ground) } : {};
  };
  return [...seen].map(([what, costs]) => ({
    ...{ cell: 'stream', what, sizeBytes },
    ...middleOf(costs, 'seconds', 'machineSeconds'),
    ...memory(what),
  }));
}
