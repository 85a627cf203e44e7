/** The SSH layer's counters as metrics; the hosts of one system count together. */
import { type Reading, reading } from '../../shared/platform/metrics/meter.ts';
import type { SshSystemStats } from '../ssh/ssh.ts';
import { systemAt } from './ssh-settings.ts';

export function sshReadings(hosts: readonly SshSystemStats[]): Reading[] {
  const systems = [...new Set(hosts.map((host) => systemAt(host.system)))];
  return systems.flatMap((name) =>
    readingsOf(
      name,
      hosts.filter(({ system }) => systemAt(system) === name),
    ),
  );
}

type Count = Exclude<keyof SshSystemStats, 'system' | 'failures'>;

function readingsOf(system: string, hosts: readonly SshSystemStats[]): Reading[] {
  const sum = (count: Count): number => hosts.reduce((total, host) => total + host[count], 0);
  const idle = sum('connectionsIdle');
  const failures = new Map<string, number>();
  for (const [code, count] of hosts.flatMap((host) => [...host.failures])) {
    failures.set(code, (failures.get(code) ?? 0) + count);
  }
  return [
    reading('goldcrest_ssh_connections', { system, state: 'busy' }, sum('connectionsOpen') - idle),
    reading('goldcrest_ssh_connections', { system, state: 'idle' }, idle),
    reading('goldcrest_ssh_channels_in_use', { system }, sum('slotsInUse')),
    reading('goldcrest_ssh_channel_waiters', { system }, sum('slotsWaiting')),
    reading('goldcrest_ssh_connects_total', { system }, sum('connectionsOpened')),
    reading('goldcrest_ssh_channels_refused_total', { system }, sum('channelsRefused')),
    ...[...failures].map(([code, count]) => reading('goldcrest_ssh_connect_failures_total', { system, code }, count)),
  ];
}
