/** What is probed on a system: the services that its configuration names, and each of its file systems by itself. */
import type { ServiceName } from '../../shared/health/system-health.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';

export interface Target extends ServiceName {
  /** Bound of the login and of the look each. */
  timeoutMs: number;
}

/**
 * Empty where nothing is to be probed; S3 only where transfers go through it, and the command of Magic Wormhole with the login
 * node that has it: what is on a data-transfer node is not looked at.
 */
export function targetsOf({ probing, fileSystems, dataOperation, transfers }: ProbedSystem): Target[] {
  const { ssh, scheduler, filesystem, s3 } = probing.services ?? {};
  const isStaged = dataOperation.dataTransfer?.type === 's3';
  const hasWormhole = dataOperation.dataTransfer?.type === 'wormhole' && transfers.node === null;
  return [
    ...(ssh ? [{ service: 'ssh' as const, path: null, timeoutMs: ssh.timeoutMs }] : []),
    ...(scheduler ? [{ service: 'scheduler' as const, path: null, timeoutMs: scheduler.timeoutMs }] : []),
    ...(filesystem
      ? fileSystems.map(({ path }) => ({ service: 'filesystem' as const, path, timeoutMs: filesystem.timeoutMs }))
      : []),
    ...(s3 && isStaged ? [{ service: 's3' as const, path: null, timeoutMs: s3.timeoutMs }] : []),
    ...(ssh && hasWormhole ? [{ service: 'wormhole' as const, path: null, timeoutMs: ssh.timeoutMs }] : []),
  ];
}

export type ProbedSystem = Pick<SystemConfig, 'probing' | 'fileSystems' | 'dataOperation' | 'transfers'>;
