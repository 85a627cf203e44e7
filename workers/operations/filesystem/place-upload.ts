/** The last step of an upload, which an attempt may have to finish for the one before: the part takes its target's name. */
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

/** What the journal says once all bytes are on the cluster. */
export type Placement = z.infer<typeof placement>;

/** Null where nothing, or nothing of this kind, was written down. */
export function placementOf(entry: Record<string, unknown> | null): Placement | null {
  const parsed = placement.safeParse(entry);
  return parsed.success ? parsed.data : null;
}

/**
 * Renames. `mayBeDone`: an earlier attempt began it, so a part that is gone has its name already, or could not be given it and was
 * removed: the target's size tells. OutcomeUnknown where it is another one.
 */
export async function placeUpload(
  { part, target, sizeBytes }: Placement,
  { files }: Pick<OperationContext, 'files'>,
  mayBeDone: boolean,
): Promise<void> {
  if (mayBeDone) {
    const left = await unlessMissing(files.lstat(part));
    if (left === null) {
      const placed = await unlessMissing(files.stat(target));
      if (placed?.sizeBytes === sizeBytes) return;
      throw new BrokerError('OutcomeUnknown', `The uploaded bytes are neither in their part nor in '${target}'.`);
    }
    if (left.sizeBytes !== sizeBytes) {
      await unlessMissing(files.unlink(part));
      throw new BrokerError('TransferBroken', 'The uploaded bytes were not all there; the target is as it was.');
    }
  }
  await files.rename(part, target).catch(async (error: unknown) => {
    // Where the connection broke, the next attempt finishes it; in every other case nobody comes back for the part.
    const isRepeated = error instanceof BrokerError && ['SshUnavailable', 'SshNoChannel'].includes(error.code);
    if (!isRepeated) await unlessMissing(files.unlink(part));
    throw error;
  });
}
