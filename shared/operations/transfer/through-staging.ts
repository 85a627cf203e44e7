/** What every operation has in common that moves bytes through the staging store. */
import { clusterText } from '../fields.ts';

/** SHA-256 as a client names it. */
export const sha256 = clusterText(1_024).refine(
  (digest) => /^[0-9a-f]{64}$/.test(digest),
  'must be a SHA-256 digest: 64 of 0-9 and a-f',
);

/** Who may, what must be healthy, where it runs, and how it may end. */
export const throughStaging = {
  relation: 'transfer',
  requires: ['ssh', 'filesystem', 'storage'],
  lane: 'move',
  scope: 'system',
  mutates: true,
  recover: 'verify',
  timeoutMs: 120_000,
  errors: [
    ...(['PathNotAbsolute', 'PathNotAllowed', 'AccountRequired', 'FileNotFound', 'PermissionDenied'] as const),
    ...([
      'TransferMethodUnavailable',
      'TransferFailed',
      'StagingFailed',
      'StagingUnavailable',
      'RemoteCommandFailed',
    ] as const),
  ],
} as const;
