/** An S3 server that checks signatures and runs lifecycles: Ceph's gateway over one monitor and one OSD. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CephLayout, cephConfText } from '../ceph-configuration.ts';
import { controlOf, type Daemon, type DaemonControl, startDaemon } from '../daemon.ts';
import { freePorts, portAt, startOnFreePorts } from '../free-ports.ts';
import { labFolderVariable } from '../lab-folder.ts';
import { runCommand } from '../run-command.ts';

export interface S3Facts {
  /** Path-style: the bucket is the first part of the path. */
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Of its own tools, in `CEPH_CONF`. */
  confPath: string;
}

/** The control is that of the gateway; the store behind it stays up. */
export interface S3Part extends S3Facts, DaemonControl {}

const blockSizeBytes = 32 * 1024 ** 3;
const daemonPortsCount = 40;

/** Starts the server; resolves when it answers and its user exists. It has no bucket yet. */
export async function startS3(labFolder: string): Promise<S3Part> {
  return startOnFreePorts(3, async (ports) => {
    const [firstDaemonPort] = await freePorts(1);
    const start = firstDaemonPort ?? 0;
    const layout: CephLayout = {
      folder: join(labFolder, `ceph-${portAt(ports, 2)}`),
      clusterId: randomUUID(),
      monitorPort: portAt(ports, 0),
      monitorLegacyPort: portAt(ports, 1),
      gatewayPort: portAt(ports, 2),
      daemonPorts: [start, start + daemonPortsCount],
      blockSizeBytes,
    };
    return startCeph(labFolder, layout);
  });
}

async function startCeph(labFolder: string, layout: CephLayout): Promise<S3Part> {
  for (const folder of ['', 'mon', 'osd', 'rgw', 'crash']) mkdirSync(join(layout.folder, folder));
  const conf = join(layout.folder, 'ceph.conf');
  writeFileSync(conf, cephConfText(layout));
  const env = { CEPH_CONF: conf, [labFolderVariable]: labFolder };
  const daemon = (name: string, command: string, args: string[], isReady: () => Promise<boolean>) =>
    startDaemon({ name, folder: labFolder, command, args, env, isReady, readyTimeoutMs: 60_000 });
  const started: Daemon[] = [];
  try {
    await makeMonitor(layout, env);
    started.push(await daemon('ceph-mon', 'ceph-mon', ['-d', '-i', 'a'], () => answers(['mon', 'stat'], '', env)));
    await makeStore(env);
    started.push(await daemon('ceph-osd', 'ceph-osd', ['-d', '-i', '0'], () => answers(['osd', 'stat'], '1 up', env)));
    const endpoint = `http://127.0.0.1:${layout.gatewayPort}`;
    const gateway = await daemon(
      'radosgw',
      'radosgw',
      ['-d', '-n', 'client.rgw'],
      async () => (await fetch(endpoint)).ok,
    );
    started.push(gateway);
    const keys = {
      accessKeyId: randomBytes(10).toString('hex').toUpperCase(),
      secretAccessKey: randomBytes(20).toString('hex'),
    };
    await makeUser(keys, env);
    return { endpoint, region: 'us-east-1', ...keys, confPath: conf, ...controlOf(gateway) };
  } catch (error) {
    await Promise.allSettled(started.map((each) => each.kill()));
    throw error;
  }
}

type Environment = Record<string, string>;

async function makeMonitor(layout: CephLayout, env: Environment): Promise<void> {
  const map = join(layout.folder, 'monmap');
  const addresses = `[v2:127.0.0.1:${layout.monitorPort},v1:127.0.0.1:${layout.monitorLegacyPort}]`;
  await runCommand('monmaptool', ['--create', '--clobber', '--fsid', layout.clusterId, '--addv', 'a', addresses, map]);
  await runCommand('ceph-mon', ['--mkfs', '-i', 'a', '--monmap', map], { env });
}

async function makeStore(env: Environment): Promise<void> {
  const id = randomUUID();
  await runCommand('ceph', ['osd', 'new', id, '0'], { env });
  await Promise.all([
    runCommand('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', id], { env }),
    runCommand('ceph', ['osd', 'crush', 'add', 'osd.0', '1.0', 'root=default', 'host=lab'], { env }),
  ]);
}

async function makeUser(keys: { accessKeyId: string; secretAccessKey: string }, env: Environment): Promise<void> {
  const secrets = ['--access-key', keys.accessKeyId, '--secret-key', keys.secretAccessKey];
  const create = ['user', 'create', '--uid', 'goldcrest', '--display-name', 'goldcrest', ...secrets];
  await runCommand('radosgw-admin', create, { env, timeoutMs: 60_000 });
}

async function answers(args: string[], expected: string, env: Environment): Promise<boolean> {
  const { stdout } = await runCommand('ceph', ['--connect-timeout', '5', ...args], { env, timeoutMs: 10_000 });
  return stdout.includes(expected);
}
