/** The cells whose bytes take a link that is slower than the machine. */
import { openSlowLink } from '../lab/slow-link.ts';
import { curlBy, curlPartsBy } from './plain-tools.ts';
import { makeFile, mebi } from './transfer-ground.ts';
import {
  type Cell,
  middleOf,
  onGround,
  partBytes,
  type TransferRow,
  watchedDownload,
  watchedUpload,
} from './transfer-watch.ts';

/** Of each connection of the capped link. */
const cappedBytesPerSecond = 20_000_000;
/** Of all connections of the shared link together: one connection has it all to itself. */
const sharedBytesPerSecond = 100_000_000;

/** Over a link that gives each connection 20 MB/s: one connection of plain curl, and the mover's eight. */
export const capped: Cell = async (lab, isQuick) => {
  const link = await openSlowLink(lab.s3.endpoint, cappedBytesPerSecond);
  try {
    return await onGround(lab, 'command', { staging: { private_url: link.url } }, async (ground) => {
      const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
      const { folder, alice } = ground;
      await makeFile(folder.at('out'), sizeBytes, alice);
      // Long enough to know its rate.
      const aloneBytes = sizeBytes / 4;
      const rounds: Record<'alone' | 'up' | 'down', number>[] = [];
      for (let round = 0; round < (isQuick ? 1 : 3); round += 1) {
        const { seconds: down, downloadUrl } = await watchedDownload(ground, folder.at('out'));
        const alone = await curlBy(link.url, downloadUrl, folder.at('by-curl'), aloneBytes);
        const { seconds: up } = await watchedUpload(ground, `up-${round}`, sizeBytes);
        rounds.push({ alone, up, down });
      }
      const { alone, up, down } = middleOf(rounds, 'alone', 'up', 'down');
      return [
        { cell: 'capped', what: 'one connection', sizeBytes: aloneBytes, seconds: alone },
        { cell: 'capped', what: 'upload', sizeBytes, seconds: up },
        { cell: 'capped', what: 'download', sizeBytes, seconds: down },
      ];
    });
  } finally {
    await link.close();
  }
};

/** Over a link that carries 100 MB/s, whoever shares it: plain curl with one connection, and the mover's eight, both ways. */
export const shared: Cell = async (lab, isQuick) => {
  const link = await openSlowLink(lab.s3.endpoint, Number.POSITIVE_INFINITY, { isShared: true });
  try {
    return await onGround(lab, 'command', { staging: { private_url: link.url } }, async (ground) => {
      const sizeBytes = (isQuick ? 256 : 1_024) * mebi;
      const { client, folder, alice } = ground;
      const row = { cell: 'shared', sizeBytes };
      const rows: TransferRow[] = [];
      const add = (what: string, seconds: number) => rows.push({ ...row, what, seconds });
      await makeFile(folder.at('out'), sizeBytes, alice);
      link.setRate(sharedBytesPerSecond);
      const down = await watchedDownload(ground, folder.at('out'));
      add('plain curl, in', await curlBy(link.url, down.downloadUrl, folder.at('by-curl'), sizeBytes));
      add('upload', (await watchedUpload(ground, 'named', sizeBytes)).seconds);
      add('upload without a digest', (await watchedUpload(ground, 'unnamed', sizeBytes, false)).seconds);
      const begun = await client.upload(folder.at('taken back'), sizeBytes);
      await makeFile(folder.at('part'), partBytes, alice);
      add('plain curl, out', await curlPartsBy(link.url, begun.partsUploadUrls, folder.at('part')));
      await client.cancel(begun.id);
      add('download', down.seconds);
      return rows;
    });
  } finally {
    await link.close();
  }
};
