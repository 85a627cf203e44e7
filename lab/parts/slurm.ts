/**
 * A whole Slurm cluster: munge, MariaDB, slurmdbd, slurmctld, slurmrestd and four slurmd, with accounts, users and accounting.
 * Debian's slurmd takes `-N name`, so one machine is several nodes. Needs root, as slurmd starts jobs as their users.
 */
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { daemonAccount, makeOwnedFolder } from '../accounts.ts';
import { controlOf, type Daemon, type DaemonControl } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';
import { LabError } from '../lab-error.ts';
import { type Database, startDatabase } from '../slurm/accounting-database.ts';
import {
  associationsText,
  cgroupConfText,
  type SlurmLayout,
  type SlurmNode,
  type SlurmPartition,
  slurmConfText,
  slurmdbdConfText,
} from '../slurm/configuration.ts';
import {
  type SlurmAdmin,
  slurmAdmin,
  slurmConfPath,
  startAccounting,
  startController,
  startNode,
  startRest,
} from '../slurm/daemons.ts';
import { startMunge } from '../slurm/munge.ts';
import type { LabUser } from '../users.ts';
import { waitUntil } from '../wait-until.ts';

export interface SlurmFacts {
  /** For `SLURM_CONF`; sessions of the lab's sshd have it set. */
  confPath: string;
  clusterName: string;
  /** `22.05.8`. */
  version: string;
  partitions: SlurmPartition[];
  nodes: string[];
  accounts: string[];
  rest: SlurmRestFacts;
}

export interface SlurmRestFacts {
  /** Base address of slurmrestd, without a trailing slash. */
  url: string;
  /** Binary file with the key that signs tokens, readable for Slurm's account and root. */
  jwtKeyPath: string;
}

export interface SlurmOptions {
  /** Which of the nodes to run; all four when left out. Partitions without a node are left out. */
  nodes?: readonly string[];
}

export interface SlurmPart extends SlurmFacts {
  controller: DaemonControl;
  /** slurmdbd: without it sacct fails, and the controller goes on and delivers later. */
  accounting: DaemonControl;
  nodeDaemons: Record<string, DaemonControl>;
  /** slurmrestd: everything else goes on without it. */
  rest: SlurmRestFacts & DaemonControl;
  /** SIGTERM to slurmctld: it saves its state. From then on every Slurm command takes 9 s to fail. */
  stopController(): Promise<void>;
  startController(): Promise<void>;
  /** Runs a Slurm command as root, who may do everything: `admin('scontrol', ['create', 'reservation', …])`. */
  admin: SlurmAdmin;
}

const accounts = ['proj01', 'proj02'];
const allNodeNames = ['n1', 'n2', 'n3', 'g1'];
const nodeCpus = 8;

/** Starts the cluster; resolves when every node is idle and every user is known to the scheduler. */
export async function startSlurm(
  labFolder: string,
  users: readonly LabUser[],
  options: SlurmOptions = {},
): Promise<SlurmPart> {
  const nodeNames = options.nodes ?? allNodeNames;
  if (process.getuid?.() !== 0) throw new LabError('Missing', 'Slurm must be started as root');
  const folder = join(labFolder, 'slurm');
  mkdirSync(folder, { mode: 0o755 });
  makeOwnedFolder(join(folder, 'controller'), 'slurm', 0o755);
  for (const node of nodeNames) mkdirSync(join(folder, `spool.${node}`), { mode: 0o755 });
  const [mungeSocket, database] = await Promise.all([startMunge(labFolder, folder), startDatabase(labFolder, folder)]);
  // One name for all attempts: slurmctld refuses the state of a cluster of another name.
  const clusterName = `lab${randomBytes(4).toString('hex')}`;
  return startOnFreePorts(3 + nodeNames.length, async (ports) => {
    const jwtKeyPath = join(folder, 'controller', 'jwt_hs256.key');
    const layout = createLayout({ clusterName, folder, mungeSocket, jwtKeyPath, ...database }, nodeNames, ports);
    writeConfiguration(labFolder, layout);
    return startCluster(labFolder, layout, users);
  });
}

async function startCluster(labFolder: string, layout: SlurmLayout, users: readonly LabUser[]): Promise<SlurmPart> {
  const admin = slurmAdmin(labFolder);
  const started: Daemon[] = [];
  const begin = async (daemon: Promise<Daemon>) => {
    started.push(await daemon);
    return daemon;
  };
  try {
    const [nodes, central] = await Promise.allSettled([
      Promise.all(layout.nodes.map(({ name }) => begin(startNode(labFolder, name)))),
      startCentral(labFolder, layout, users, begin),
    ]);
    if (nodes.status === 'rejected') throw nodes.reason;
    if (central.status === 'rejected') throw central.reason;
    const { accounting, controller, rest } = central.value;
    const facts = await factsOf(labFolder, layout);
    await waitUntil('the nodes to be idle', () => areIdle(admin, layout.nodes.length), {
      timeoutMs: 30_000,
      intervalMs: 100,
      logFile: controller.logFile,
    });
    return {
      ...facts,
      controller: controlOf(controller),
      accounting: controlOf(accounting),
      rest: { ...facts.rest, ...controlOf(rest) },
      nodeDaemons: Object.fromEntries(nodes.value.map((daemon) => [daemon.name, controlOf(daemon)])),
      stopController: controller.stop,
      startController: controller.start,
      admin,
    };
  } catch (error) {
    await Promise.allSettled(started.map((daemon) => daemon.kill()));
    throw error;
  }
}

type Begin = (daemon: Promise<Daemon>) => Promise<Daemon>;

/** Accounting first, with everybody in it: the controller refuses jobs of users that it did not learn of there. */
async function startCentral(labFolder: string, layout: SlurmLayout, users: readonly LabUser[], begin: Begin) {
  const accounting = await begin(startAccounting(labFolder));
  const associations = join(layout.folder, 'associations.txt');
  writeFileSync(associations, associationsText(layout.clusterName, accounts, users));
  await slurmAdmin(labFolder)('sacctmgr', ['--immediate', 'load', `file=${associations}`]);
  const controller = await begin(startController(labFolder));
  return { accounting, controller, rest: await begin(startRest(labFolder, layout.restPort)) };
}

async function factsOf(labFolder: string, layout: SlurmLayout): Promise<SlurmFacts> {
  return {
    confPath: slurmConfPath(labFolder),
    clusterName: layout.clusterName,
    version: (await slurmAdmin(labFolder)('sinfo', ['--version'])).trim().replace('slurm-wlm ', ''),
    partitions: layout.partitions,
    nodes: layout.nodes.map((node) => node.name),
    accounts,
    rest: { url: `http://127.0.0.1:${layout.restPort}`, jwtKeyPath: layout.jwtKeyPath },
  };
}

async function areIdle(admin: SlurmAdmin, nodesCount: number): Promise<boolean> {
  const idle = await admin('sinfo', ['--noheader', '--Node', '--states=idle', '--format=%N']);
  return new Set(idle.split('\n').filter((name) => name !== '')).size === nodesCount;
}

interface Peers extends Database {
  clusterName: string;
  folder: string;
  mungeSocket: string;
  jwtKeyPath: string;
}

function createLayout(peers: Peers, nodeNames: readonly string[], ports: number[]): SlurmLayout {
  const nodes: SlurmNode[] = nodeNames.map((name, index) => ({
    name,
    port: portAt(ports, index + 3),
    cpus: nodeCpus,
    memoryMb: 8_000,
    feature: name.startsWith('g') ? 'gpu' : 'cpu',
  }));
  const partitions: SlurmPartition[] = [
    { name: 'debug', nodes: ['n1', 'n2'], isDefault: true, timeLimitMinutes: 30 },
    { name: 'normal', nodes: ['n1', 'n2', 'n3'], isDefault: false, timeLimitMinutes: 24 * 60 },
    { name: 'gpu', nodes: ['g1'], isDefault: false, timeLimitMinutes: 24 * 60 },
  ];
  return {
    clusterName: peers.clusterName,
    folder: peers.folder,
    mungeSocket: peers.mungeSocket,
    jwtKeyPath: peers.jwtKeyPath,
    controllerPort: portAt(ports, 0),
    accountingPort: portAt(ports, 1),
    restPort: portAt(ports, 2),
    databasePort: peers.port,
    databasePassword: peers.password,
    nodes,
    partitions: partitions
      .map((partition) => ({ ...partition, nodes: partition.nodes.filter((name) => nodeNames.includes(name)) }))
      .filter((partition) => partition.nodes.length > 0),
  };
}

function writeConfiguration(labFolder: string, layout: SlurmLayout): void {
  const confPath = slurmConfPath(labFolder);
  writeFileSync(confPath, slurmConfText(layout), { mode: 0o644 });
  writeFileSync(join(layout.folder, 'cgroup.conf'), cgroupConfText, { mode: 0o644 });
  const accountingConf = join(layout.folder, 'slurmdbd.conf');
  const { uid, gid } = daemonAccount('slurm');
  writeFileSync(accountingConf, slurmdbdConfText(layout), { mode: 0o600 });
  chownSync(accountingConf, uid, gid);
  // Every daemon that is to trust the tokens reads this one key.
  writeFileSync(layout.jwtKeyPath, randomBytes(32), { mode: 0o600 });
  chownSync(layout.jwtKeyPath, uid, gid);
}
