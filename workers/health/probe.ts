/** One probe of one service: a login on a connection of its own, as the service account, and one look. */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import { createScheduler } from '../schedulers/create-scheduler.ts';
import type { SchedulerAdapter } from '../schedulers/scheduler.ts';
import type { ObserveCall } from '../schedulers/slurm-rest/observe-calls.ts';
import type { FreshHost } from '../ssh/fresh-host.ts';
import type { Ssh } from '../ssh/ssh.ts';
import { createAccountLogin } from './account-login.ts';
import type { FindUsername } from './service-account.ts';
import { probeStorage } from './storage-probe.ts';
import { type Target, targetsOf } from './targets.ts';
import { down, up, type Verdict, verdictOfFailure, withoutAccount } from './verdict.ts';

export interface ProbeDependencies {
  system: SystemConfig;
  ssh: Pick<Ssh, 'credentialFor' | 'logInFresh'>;
  findUsername: FindUsername;
  observe?: ObserveCall;
  log: Logger;
}

/** Never rejects. */
export type Probe = (target: Target) => Promise<Verdict>;

/** What a look may take beyond its own time, to end what it began on the host. */
const endingMs = 15_000;
/** A refused account is not tried again before. */
const refusedRetryMsMin = 60_000;

export function createProbe(deps: ProbeDependencies): Probe {
  const { system } = deps;
  const { scheduler } = system.probing.services ?? {};
  const timeoutMs = scheduler?.timeoutMs ?? system.scheduler.timeoutMs;
  const adapter = createScheduler({ ...system, scheduler: { ...system.scheduler, timeoutMs } }, deps.observe);
  const logIn = createAccountLogin({
    system: system.name,
    ssh: deps.ssh,
    findUsername: deps.findUsername,
    retryMs: Math.max(system.probing.intervalMs, refusedRetryMsMin),
  });
  const isLoginProbed = targetsOf(system).some(({ service }) => service === 'ssh');

  const probe = async (target: Target): Promise<Verdict> => {
    if (target.service === 's3') return lookAtStorage(system, target);
    const login = await logIn(target.timeoutMs);
    if ('outcome' in login) {
      const isBlamedElsewhere = login.outcome === 'down' && target.service !== 'ssh' && isLoginProbed;
      return isBlamedElsewhere ? { outcome: 'unknown', because: 'login', message: login.message } : login;
    }
    try {
      if (target.service === 'wormhole') return await lookForWormhole(system, login, target);
      return await looks[target.service](login, target, adapter);
    } catch (error) {
      return verdictOfLook(error, target);
    } finally {
      login.close();
    }
  };
  return (target) => inTime(probe(target), 2 * target.timeoutMs + endingMs);
}

type Look = (host: FreshHost, target: Target, adapter: Pick<SchedulerAdapter, 'ping'>) => Promise<Verdict>;

const looks: Record<Exclude<Target['service'], 's3' | 'wormhole'>, Look> = {
  async ssh({ shell, username }, { timeoutMs }) {
    const { exitCode, stderr } = await shell.run(['true'], { timeoutMs });
    if (exitCode === 0) return up();
    return withoutAccount(`The service account ${username} cannot run commands: ${stderr.toString()}`);
  },
  async scheduler(host, { timeoutMs }, adapter) {
    await adapter.ping(host, AbortSignal.timeout(timeoutMs + endingMs));
    return up();
  },
  /** `stat -f` is statfs(2), which a network file system asks its server for, and needs no permission on what is in it. */
  async filesystem({ shell, username }, { path, timeoutMs }) {
    const { exitCode, stderr } = await shell.run(['stat', '-f', '--', path ?? '/'], { timeoutMs });
    const words = stderr.toString();
    if (exitCode === 0) return up();
    if (exitCode === 127) return up('The login node has no stat(1) to look at it with.');
    if (/Permission denied/.test(words)) return up(`The service account ${username} may not look at it.`);
    return down(words === '' ? `stat ended with exit status ${exitCode ?? 'none'}.` : words);
  },
};

function verdictOfLook(error: unknown, { service, path, timeoutMs }: Target): Verdict {
  const isLate = error instanceof BrokerError && error.code === 'CommandTimeout';
  if (!isLate) return verdictOfFailure(error);
  const what = service === 'filesystem' ? `The file system ${path}` : 'The login node';
  return down(`${what} did not answer within ${timeoutMs / 1_000} s.`, error.detail.isGone === false);
}

/** Whether the command is there; the servers that it speaks to are not asked. */
async function lookForWormhole(
  { dataOperation: { dataTransfer } }: SystemConfig,
  { shell }: FreshHost,
  { timeoutMs }: Target,
): Promise<Verdict> {
  if (dataTransfer?.type !== 'wormhole') return up();
  const { command } = dataTransfer;
  const { exitCode } = await shell.run(['sh', '-c', 'command -v "$1" >/dev/null', 'sh', command], { timeoutMs });
  return exitCode === 0 ? up() : down(`The command ${command} of Magic Wormhole is not installed on the login node.`);
}

async function lookAtStorage({ dataOperation: { dataTransfer } }: SystemConfig, target: Target): Promise<Verdict> {
  if (dataTransfer?.type !== 's3') return up();
  try {
    return await probeStorage(dataTransfer, target.timeoutMs);
  } catch (error) {
    return verdictOfFailure(error);
  }
}

/** A probe that does not even end by its own bounds must not keep the next ones from being made. */
async function inTime(probe: Promise<Verdict>, boundMs: number): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Verdict>((resolve) => {
    timer = setTimeout(() => resolve(down('The probe did not end in time.', true)), boundMs);
  });
  try {
    return await Promise.race([probe, late]);
  } finally {
    clearTimeout(timer);
  }
}
