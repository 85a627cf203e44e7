/**
 * The way to a file that goes straight between its client and the cluster: FirecREST's coordinates of a stream, or the code of
 * a wormhole. It is sealed in the task's record, and opened here alone, for an answer to the task's owner.
 */
import { z } from 'zod';

import { createSealer } from '../../shared/platform/sealing.ts';
import { streamEntryOf, streamPlace } from '../../shared/tasks/stream-entry.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { givenCodePlace, wormholeEntryOf } from '../../shared/tasks/wormhole-entry.ts';
import type { SystemEntry } from '../http/app-env.ts';

export const streamerWay = z.object({
  transferMethod: z.literal('streamer'),
  coordinates: z.string().describe("What FirecREST's streamer takes: base64 of JSON with addresses and a secret"),
});

export const wormholeWay = z.object({
  transferMethod: z.literal('wormhole'),
  wormholeCode: z
    .string()
    .nullable()
    .describe(
      'Of a download: what `wormhole receive` takes, once. Null of an upload: the code is that of your own `wormhole send`',
    ),
});

export type DirectWay = z.infer<typeof streamerWay> | z.infer<typeof wormholeWay>;

/**
 * `id`: what names the traces of the task, or of its step. Null where it has no way, or none yet, or its system moves files
 * otherwise. Throws where no key opens what is sealed.
 */
export function directWayOf(
  { id, operation, journal }: Pick<Task, 'id' | 'operation' | 'journal'>,
  { dataOperation: { dataTransfer } }: Pick<SystemEntry, 'dataOperation'>,
): DirectWay | null {
  if (dataTransfer?.type !== 'streamer' && dataTransfer?.type !== 'wormhole') return null;
  const sealer = createSealer(dataTransfer.sealingKeys);
  if (sealer === null) return null;
  if (dataTransfer.type === 'streamer') {
    const stream = streamEntryOf(journal);
    if (stream === null) return null;
    const secret = sealer.open(stream.sealedSecret, streamPlace(id));
    const coordinates = JSON.stringify({ ports: dataTransfer.portRange, ips: dataTransfer.publicIps, secret });
    const encoded = Buffer.from(coordinates).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    return { transferMethod: 'streamer', coordinates: encoded };
  }
  if (operation === 'transfer.upload') return { transferMethod: 'wormhole', wormholeCode: null };
  const sealedCode = wormholeEntryOf(journal)?.sealedCode;
  if (sealedCode === undefined) return null;
  return { transferMethod: 'wormhole', wormholeCode: sealer.open(sealedCode, givenCodePlace(id)) };
}
