/** Into how many parts a file is cut. Bounds are those of S3: parts of 5 MiB to 5 GiB (the last may be smaller), 5 TiB in all. */

const mebi = 2 ** 20;
/** Smallest part that a store takes, the last one excepted. */
const partBytesMin = 5 * mebi;
const partBytesMax = 5 * 2 ** 30;
/** Largest object. */
export const objectBytesMax = 5 * 2 ** 40;
/** Most parts, and so most presigned URLs in one answer, as long as parts can grow. */
const partsMax = 1_000;

export interface PartPlan {
  /** Every part but the last has this size. */
  partSizeBytes: number;
  /** At least 1: an empty file is one empty part. */
  partsCount: number;
}

/**
 * The plan of a file: parts of `wishedBytes`, larger where a store would refuse them or there would be more than 1,000.
 * `sizeBytes` is at most `objectBytesMax`.
 */
export function planParts(sizeBytes: number, wishedBytes: number): PartPlan {
  const needed = Math.ceil(Math.ceil(sizeBytes / partsMax) / mebi) * mebi;
  const partSizeBytes = Math.min(partBytesMax, Math.max(partBytesMin, wishedBytes, needed));
  return { partSizeBytes, partsCount: Math.max(1, Math.ceil(sizeBytes / partSizeBytes)) };
}
