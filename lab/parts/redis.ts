/** Redis, as the broker needs it: every write on disk before it is acknowledged, and nothing evicted. */
import { mkdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { controlOf, type DaemonControl, startDaemon } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';

export interface RedisFacts {
  url: string;
  host: string;
  port: number;
}

/** Start and stop keep port and data. */
export interface RedisPart extends RedisFacts, DaemonControl {
  /** Of the running server; undefined while it is stopped. */
  pid(): number | undefined;
}

/** Starts Redis on a free loopback port; resolves when it answers PING. A second one of a lab needs a name of its own. */
export async function startRedis(folder: string, name = 'redis'): Promise<RedisPart> {
  const host = '127.0.0.1';
  const dataFolder = join(folder, name);
  mkdirSync(dataFolder);
  return startOnFreePorts(1, async (ports) => {
    const port = portAt(ports, 0);
    const settings: Record<string, string> = {
      port: String(port),
      bind: host,
      dir: dataFolder,
      daemonize: 'no',
      appendonly: 'yes',
      appendfsync: 'always',
      'maxmemory-policy': 'noeviction',
      save: '',
    };
    const daemon = await startDaemon({
      name,
      folder,
      command: 'redis-server',
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      isReady: () => answersPing(host, port),
      readyTimeoutMs: 15_000,
    });
    return { url: `redis://${host}:${port}`, host, port, ...controlOf(daemon), pid: () => daemon.pid() };
  });
}

function answersPing(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 1_000 }, () => socket.write('PING\r\n'));
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (reply) => settle(reply.toString().startsWith('+PONG')));
    socket.once('error', () => settle(false));
    socket.once('timeout', () => settle(false));
  });
}
