/**
 * The text of Slurm's configuration files for a cluster on one machine: several small nodes that are all this host, no
 * cgroups, no systemd, loopback only. Sources: slurm.conf(5), slurmdbd.conf(5), and trials with Slurm 22.05.
 */

export interface SlurmNode {
  name: string;
  port: number;
  cpus: number;
  memoryMb: number;
  feature: string;
}

export interface SlurmPartition {
  name: string;
  nodes: string[];
  isDefault: boolean;
  timeLimitMinutes: number;
}

export interface SlurmLayout {
  clusterName: string;
  /** Folders: state and logs of Slurm, and the sockets of its peers. */
  folder: string;
  mungeSocket: string;
  /** HS256 key of the tokens that slurmrestd hands on. */
  jwtKeyPath: string;
  controllerPort: number;
  accountingPort: number;
  restPort: number;
  databasePort: number;
  databasePassword: string;
  nodes: SlurmNode[];
  partitions: SlurmPartition[];
}

/** slurm.conf. */
export function slurmConfText(layout: SlurmLayout): string {
  const settings: Record<string, string | number> = {
    ClusterName: layout.clusterName,
    SlurmctldHost: 'localhost(127.0.0.1)',
    SlurmctldPort: layout.controllerPort,
    SlurmUser: 'slurm',
    SlurmdUser: 'root',
    AuthType: 'auth/munge',
    AuthInfo: `socket=${layout.mungeSocket}`,
    ...tokenSettings(layout),
    CredType: 'cred/munge',
    StateSaveLocation: `${layout.folder}/controller`,
    SlurmdSpoolDir: `${layout.folder}/spool.%n`,
    SlurmctldPidFile: `${layout.folder}/controller/slurmctld.pid`,
    SlurmdPidFile: `${layout.folder}/spool.%n/slurmd.pid`,
    // Without it the daemons listen on every address of the machine.
    CommunicationParameters: 'NoInAddrAny,NoCtldInAddrAny',
    MailProg: '/bin/true',
    MpiDefault: 'none',
    SwitchType: 'switch/none',
    ProctrackType: 'proctrack/linuxproc',
    TaskPlugin: 'task/none',
    JobAcctGatherType: 'jobacct_gather/linux',
    JobAcctGatherFrequency: 5,
    JobCompType: 'jobcomp/none',
    ReturnToService: 2,
    // Nodes claim more cores than the machine has.
    SlurmdParameters: 'config_overrides',
    SchedulerType: 'sched/backfill',
    SchedulerParameters: 'sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=10000',
    SelectType: 'select/cons_tres',
    SelectTypeParameters: 'CR_Core',
    KillWait: 3,
    MinJobAge: 300,
    SlurmctldTimeout: 60,
    SlurmdTimeout: 60,
    MaxArraySize: 2001,
    MaxJobCount: 20_000,
    AccountingStorageType: 'accounting_storage/slurmdbd',
    AccountingStorageHost: '127.0.0.1',
    AccountingStoragePort: layout.accountingPort,
    // sacct and sacctmgr do not look at AuthInfo: the socket must be named here once more.
    AccountingStoragePass: layout.mungeSocket,
    AccountingStorageEnforce: 'associations,limits,qos',
    AccountingStoreFlags: 'job_comment,job_script',
    // Otherwise a job over the limits of its partition is accepted and waits for ever.
    EnforcePartLimits: 'ALL',
    SlurmctldDebug: 'info',
    SlurmdDebug: 'info',
  };
  return [...settingLines(settings), ...layout.nodes.map(nodeLine), ...layout.partitions.map(partitionLine), ''].join(
    '\n',
  );
}

/** slurmdbd.conf; holds a password, so it must be readable for the account slurm alone. */
export function slurmdbdConfText(layout: SlurmLayout): string {
  const settings: Record<string, string | number> = {
    AuthType: 'auth/munge',
    AuthInfo: `socket=${layout.mungeSocket}`,
    ...tokenSettings(layout),
    DbdAddr: '127.0.0.1',
    DbdHost: 'localhost',
    DbdPort: layout.accountingPort,
    SlurmUser: 'slurm',
    DebugLevel: 'info',
    PidFile: `${layout.folder}/controller/slurmdbd.pid`,
    StorageType: 'accounting_storage/mysql',
    StorageHost: '127.0.0.1',
    StoragePort: layout.databasePort,
    StorageUser: 'slurm',
    StoragePass: layout.databasePassword,
    StorageLoc: 'slurm_accounting',
    CommunicationParameters: 'NoInAddrAny,NoCtldInAddrAny',
  };
  return [...settingLines(settings), ''].join('\n');
}

/** cgroup.conf: there is nobody who would have mounted them for us. */
export const cgroupConfText = 'CgroupAutomount=no\n';

export interface AssociatedUser {
  username: string;
  accounts: readonly string[];
  isOperator: boolean;
}

/** Accounts and users in the form that `sacctmgr load` reads, one file for all, since each call of sacctmgr is slow. */
export function associationsText(clusterName: string, accounts: readonly string[], users: readonly AssociatedUser[]) {
  const lines = [
    `Cluster - '${clusterName}':Fairshare=1:QOS='normal'`,
    `Parent - 'root'`,
    `User - 'root':DefaultAccount='root':AdminLevel='Administrator':Fairshare=1`,
    ...accounts.map((account) => `Account - '${account}':Description='${account}':Organization='lab':Fairshare=1`),
  ];
  for (const account of accounts) {
    lines.push(`Parent - '${account}'`);
    for (const user of users.filter((candidate) => candidate.accounts.includes(account))) {
      const admin = user.isOperator ? `:AdminLevel='Operator'` : '';
      lines.push(`User - '${user.username}':DefaultAccount='${user.accounts[0]}'${admin}:Fairshare=1`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Controller and accounting take tokens beside munge; what slurmrestd asks of them comes with one. */
function tokenSettings({ jwtKeyPath }: SlurmLayout): Record<string, string> {
  return { AuthAltTypes: 'auth/jwt', AuthAltParameters: `jwt_key=${jwtKeyPath}` };
}

function settingLines(settings: Record<string, string | number>): string[] {
  return Object.entries(settings).map(([name, value]) => `${name}=${value}`);
}

function nodeLine(node: SlurmNode): string {
  const size = `CPUs=${node.cpus} RealMemory=${node.memoryMb}`;
  return `NodeName=${node.name} NodeHostname=localhost NodeAddr=127.0.0.1 Port=${node.port} ${size} Feature=${node.feature} State=UNKNOWN`;
}

function partitionLine(partition: SlurmPartition): string {
  const marks = partition.isDefault ? ' Default=YES' : '';
  return `PartitionName=${partition.name} Nodes=${partition.nodes.join()} MaxTime=${partition.timeLimitMinutes}${marks} State=UP`;
}
