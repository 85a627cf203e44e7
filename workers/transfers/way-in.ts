/** How a part comes into a store so that what arrived is known to be what was sent. */
import type { SignedPut } from '../../shared/staging/held-digest.ts';
import type { Staging } from '../../shared/staging/staging.ts';
import type { StagedFile } from '../../shared/tasks/staged-file.ts';

export interface WayIn {
  /** `sha256`: the store itself holds the part against it. `md5`: the part's ETag is held against it. */
  algorithm: 'sha256' | 'md5';
  /** Of a part with that digest, in hexadecimal. */
  sign: (digest: string) => Promise<SignedPut>;
}

/** Of a part, `number` from 0. StagingUnavailable where a store cannot say just now which way is the right one. */
export async function wayInto(
  staged: StagedFile,
  { number, sizeBytes }: { number: number; sizeBytes: number },
  staging: Staging,
): Promise<WayIn> {
  if (await staging.holdsDigests(staged)) {
    const sign = (sha256: string) => staging.signHeldPart(staged, number + 1, { sizeBytes, sha256 });
    return { algorithm: 'sha256', sign };
  }
  const sign = async (): Promise<SignedPut> => {
    const [url = ''] = await staging.signParts(staged, number + 1, 1, 'cluster');
    return { url, headers: { 'content-length': sizeBytes } };
  };
  return { algorithm: 'md5', sign };
}
