/** The versions of slurmrestd's API that this version of Goldcrest speaks. */

/** Newest first: `0.0.43` and so on. */
export const slurmrestMinors = [43, 42, 41, 40, 39, 38, 37] as const;

export type SlurmrestMinor = (typeof slurmrestMinors)[number];

/** The last number of `0.0.38` or `v0.0.38`; undefined for a version that is not spoken. */
export function slurmrestMinor(version: string): SlurmrestMinor | undefined {
  return slurmrestMinors.find((minor) => version === `0.0.${minor}` || version === `v0.0.${minor}`);
}
