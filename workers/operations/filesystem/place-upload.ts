/** The last step of an upload, which an attempt may have to finish for the one before: the part takes its target's name. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { OperationContext } from '../operation-context.ts';
import { unlessMissing } from './unless-missing.ts';

const placement = z.object({
  phase: z.literal('placing'),
  part: z.string(),
  target: z.string(),
  sizeBytes: z.int(),
  /** Left out by earlier versions. */
  sha256: z.string().optional(),
});

/** What the journal says once all bytes have come, and are at the cluster or on their way there. */
export type Placement = z.infer<typeof placement>;

type Context = Pick<OperationContext, 'files'>;

/** Null where nothing, or nothing of this kind, was written down. */
export function placementOf(entry: Record<string, unknown> | null): Placement | null {
  const parsed = placement.safeParse(entry);
  return parsed.success ? parsed.data : null;
}

/**
 * The part takes the name of its target. An attempt before this one journaled that all bytes had come: they are compared with what
 * lies there, since the last of them may not have reached the cluster. A part that is gone has its name already, or could not be
 * given it and was removed. TransferBroken where the part is not whole, OutcomeUnknown where neither holds the bytes.
 */
export async function finishPlacement(placement: Placement, { files }: Context): Promise<void> {
  const { part, target } = placement;
  const left = await unlessMissing(files.lstat(part));
  if (left === null) {
    const placed = await unlessMissing(files.stat(target));
    if (placed !== null && (await isWhole(target, placed.sizeBytes, placement, files))) return;
    throw new BrokerError('OutcomeUnknown', `The uploaded bytes are neither in their part nor in '${target}'.`);
  }
  if (!(await isWhole(part, left.sizeBytes, placement, files))) {
    await unlessMissing(files.unlink(part));
    throw new BrokerError('TransferBroken', 'The uploaded bytes were not all there; the target is as it was.');
  }
  await placeUpload(placement, { files });
}

/** Renames. */
export async function placeUpload(
  { part, target }: Pick<Placement, 'part' | 'target'>,
  { files }: Context,
): Promise<void> {
  await files.rename(part, target).catch(async (error: unknown) => {
    // Where the connection broke, the next attempt finishes it; in every other case nobody comes back for the part.
    const isRepeated = error instanceof BrokerError && ['SshUnavailable', 'SshNoChannel'].includes(error.code);
    if (!isRepeated) await unlessMissing(files.unlink(part));
    throw error;
  });
}

/** What may not be read by its owner cannot be compared, and is not said to be whole. */
async function isWhole(
  path: string,
  foundBytes: number,
  { sizeBytes, sha256 }: Placement,
  files: Context['files'],
): Promise<boolean> {
  if (foundBytes !== sizeBytes || sha256 === undefined) return foundBytes === sizeBytes;
  const hash = createHash('sha256');
  const take = (chunk: Buffer): undefined => void hash.update(chunk);
  try {
    await files.withOpenFile(path, (file) => file.stream(0, sizeBytes, take), { isOnce: true });
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'PermissionDenied') return false;
    throw error;
  }
  return hash.digest('hex') === sha256;
}
