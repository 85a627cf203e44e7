import { describe, expect, it } from 'vitest';
import { expandFileName, firstHost, type NamedJob } from '../../workers/schedulers/slurm-cli/file-names.ts';
import { parseKeptScript, parseQueuedFiles } from '../../workers/schedulers/slurm-cli/job-metadata.ts';
import { mergeRows } from '../../workers/schedulers/slurm-cli/merge-jobs.ts';
import { buildSacctList, readSacctJobs } from '../../workers/schedulers/slurm-cli/sacct.ts';
import { parseAccounts } from '../../workers/schedulers/slurm-cli/sacctmgr.ts';
import { parsePartitions, parseReservations } from '../../workers/schedulers/slurm-cli/scontrol-show.ts';
import { nodeStatesOf, parseNodes } from '../../workers/schedulers/slurm-cli/sinfo.ts';
import { buildSqueueList, parseSqueueJobs } from '../../workers/schedulers/slurm-cli/squeue.ts';

/** All samples: Slurm 22.05.8, a delimiter written as ¦. */
const sinfo =
  'g1¦127.0.0.1¦localhost¦idle¦8¦1¦1¦8¦2.64¦0/8/0/8¦22202¦0¦gpu¦gpu¦1¦\n' +
  'n1¦127.0.0.1¦localhost¦mixed¦8¦1¦1¦8¦1.98¦4/4/0/8¦22127¦0¦cpu¦debug¦1¦\n' +
  'n1¦127.0.0.1¦localhost¦mixed¦8¦1¦1¦8¦1.98¦4/4/0/8¦22127¦0¦cpu¦normal¦1¦\n' +
  'n3¦127.0.0.1¦localhost¦drained*¦2¦4¦2¦16¦N/A¦0/0/16/16¦N/A¦0¦(null)¦normal¦1¦\n';

describe('nodes', () => {
  it('are each listed once, with all their partitions and their processors', () => {
    const nodes = parseNodes(sinfo, '¦');
    expect(nodes.map((node) => [node.name, node.partitions])).toEqual([
      ['g1', ['gpu']],
      ['n1', ['debug', 'normal']],
      ['n3', ['normal']],
    ]);
    expect(nodes[1]).toEqual({
      name: 'n1',
      address: '127.0.0.1',
      hostname: 'localhost',
      state: ['MIXED'],
      sockets: 8,
      cores: 1,
      threads: 1,
      cpus: 8,
      cpuLoad: 1.98,
      freeMemory: 22127,
      allocMemory: 0,
      allocCpus: 4,
      idleCpus: 4,
      features: 'cpu',
      partitions: ['debug', 'normal'],
      weight: 1,
    });
  });

  it('tell sockets, cores and threads apart, and null from zero', () => {
    expect(parseNodes(sinfo, '¦')[2]).toMatchObject({
      sockets: 2,
      cores: 4,
      threads: 2,
      cpuLoad: null,
      freeMemory: null,
      features: null,
      state: ['DRAIN'],
    });
  });

  it('may be none at all', () => {
    expect(parseNodes('', '¦')).toEqual([]);
  });

  it.each([
    ['idle', ['IDLE']],
    ['allocated+', ['ALLOCATED']],
    ['down*', ['DOWN']],
    ['draining@', ['DRAIN']],
    ['idle#', ['IDLE', 'POWERING_UP']],
    ['idle%', ['IDLE', 'POWERING_DOWN']],
    ['powering_down', ['POWERING_DOWN']],
    ['planned-', ['IDLE']],
    ['maint$', ['OFFLINE']],
    ['a word of tomorrow', ['UNKNOWN']],
  ])('in state %s are %j', (text, states) => {
    expect(nodeStatesOf(text)).toEqual(states);
  });
});

describe('partitions', () => {
  const line = (name: string, hidden: string, state: string): string =>
    `PartitionName=${name} AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=${hidden} MaxNodes=UNLIMITED MaxTime=00:30:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=${state} TotalCPUs=16 TotalNodes=2 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerNode=UNLIMITED MaxMemPerNode=UNLIMITED TRES=cpu=16,mem=16000M,node=2,billing=16\n`;
  const output = line('debug', 'NO', 'UP') + line('secret', 'YES', 'DOWN');

  it('show their size and state, hidden ones only when asked for', () => {
    expect(parsePartitions(output, false)).toEqual([{ name: 'debug', cpus: 16, totalNodes: 2, partition: 'UP' }]);
    expect(parsePartitions(output, true).map(({ name, partition }) => [name, partition])).toEqual([
      ['debug', 'UP'],
      ['secret', 'DOWN'],
    ]);
  });

  it('that cannot be read are an error, not none', () => {
    expect(() => parsePartitions('something else\n', false)).toThrow('could not be read');
    expect(parsePartitions('', false)).toEqual([]);
  });
});

describe('reservations', () => {
  const output =
    'ReservationName=maint 1 StartTime=1795372573 EndTime=1795376173 Duration=01:00:00 Nodes=n3 NodeCnt=1 CoreCnt=8 Features=cpu PartitionName=(null) Flags=SPEC_NODES TRES=cpu=8 Users=gcalice Groups=(null) Accounts=(null) Licenses=(null) State=ACTIVE BurstBuffer=(null) Watts=n/a MaxStartDelay=(null)\n' +
    'ReservationName=later StartTime=1795545373 EndTime=1827081373 Duration=365-00:00:00 Nodes=n1 NodeCnt=1 CoreCnt=8 Features=(null) PartitionName=debug Flags=MAINT TRES=cpu=8 Users=(null) Groups=(null) Accounts=proj01 Licenses=(null) State=INACTIVE BurstBuffer=(null) Watts=n/a MaxStartDelay=(null)\n';

  it('keep names with spaces and show times as epoch seconds', () => {
    expect(parseReservations(output, 0)).toEqual([
      {
        name: 'maint 1',
        nodeList: 'n3',
        startTime: 1795372573,
        endTime: 1795376173,
        features: 'cpu',
        state: 'active',
      },
      {
        name: 'later',
        nodeList: 'n1',
        startTime: 1795545373,
        endTime: 1827081373,
        features: null,
        state: 'inactive',
      },
    ]);
  });

  it('tell their state by the clock where none is printed', () => {
    const stateless = output.replaceAll(/ State=\w+/g, '');
    const states = (now: number) => parseReservations(stateless, now).map(({ state }) => state);
    expect(states(1795372573)).toEqual(['active', 'inactive']);
    expect(states(1795376173)).toEqual(['inactive', 'inactive']);
  });

  it('may be none at all, and are an error where they cannot be read', () => {
    expect(parseReservations('No reservations in the system\n', 0)).toEqual([]);
    expect(() => parseReservations('ReservationName=x StartTime=2026-11-22T18:36:10\n', 0)).toThrow(
      'could not be read',
    );
  });
});

describe('accounts', () => {
  it('are whole names, each once, with the default', () => {
    expect(parseAccounts('a_rather_long_account|a_rather_long_account\na_rather_long_account|p2\np2|p2\n')).toEqual([
      { name: 'a_rather_long_account', default: true },
      { name: 'p2', default: true },
    ]);
    expect(parseAccounts('proj01|proj01\nproj01|proj02\nproj01|proj02\n')).toEqual([
      { name: 'proj01', default: true },
      { name: 'proj02', default: false },
    ]);
  });

  it('may be none, also for a user who is known without them', () => {
    expect(parseAccounts('')).toEqual([]);
    expect(parseAccounts('|\n')).toEqual([]);
    expect(() => parseAccounts('proj01\n')).toThrow('could not be read');
  });
});

describe('the files of a job', () => {
  const part: NamedJob = {
    jobId: '2_2',
    rawId: '6',
    name: 'arr',
    username: 'gcalice',
    workingDirectory: '/home/gcalice',
    firstNode: 'n1',
  };
  const plain = { ...part, jobId: '8' };

  it('are where Slurm writes them, with every symbol that is known replaced', () => {
    const pattern = '/home/gcalice/o-%x-%j-%A-%a-%u-%N-%n-%t-%s-%%-%5j-%q.txt';
    expect(expandFileName(pattern, part)).toBe('/home/gcalice/o-arr-6-2-2-gcalice-n1-0-0-batch-%-00006-%q.txt');
    expect(expandFileName('/data/%A_%4a', part)).toBe('/data/2_0002');
  });

  it('keep symbols that mean nothing yet', () => {
    const waiting = { ...part, jobId: '2_[1-3]', rawId: '2', firstNode: null };
    expect(expandFileName('/home/gcalice/%A_%a.%N', waiting)).toBe('/home/gcalice/2_%a.%N');
    expect(expandFileName('/home/gcalice/a%a', plain)).toBe('/home/gcalice/a%a');
  });

  it('of an array have its own default name, whatever squeue shows', () => {
    expect(expandFileName('/home/gcalice/slurm-6.out', part)).toBe('/home/gcalice/slurm-2_2.out');
    expect(expandFileName('/home/gcalice/slurm-6.out', plain)).toBe('/home/gcalice/slurm-6.out');
  });

  it('are not changed in their directory, nor at all after a backslash', () => {
    const odd = { ...plain, workingDirectory: '/data/100%j' };
    expect(expandFileName('/data/100%j/x%j', odd)).toBe('/data/100%j/x6');
    expect(expandFileName('x%j', odd)).toBe('/data/100%j/x6');
    expect(expandFileName('/home/gcalice/a\\%%j b.txt', plain)).toBe('/home/gcalice/a%%j b.txt');
  });

  it('are null where there is none', () => {
    expect([expandFileName(null, part), expandFileName('', part)]).toEqual([null, null]);
  });

  it('are read beside names with spaces, newlines and fields of their own', () => {
    const [job, allocation] = parseQueuedFiles(
      '4¦4¦1¦n/a¦gcalice¦two\nlines StdOut=/evil¦/home/gcalice¦/dev/null¦/home/gcalice/x y.out¦/home/gcalice/x y.out¦\n' +
        '13¦13¦0¦localhost¦gcalice¦interactive¦/home/gcalice¦(null)¦/home/gcalice/slurm-13.out¦/home/gcalice/slurm-13.out¦\n',
      '¦',
    );
    expect(job).toMatchObject({ firstNode: null, input: '/dev/null', output: '/home/gcalice/x y.out', isBatch: true });
    expect(allocation).toMatchObject({ isBatch: false, input: null, output: null, error: null });
  });

  it.each([
    ['n[1-2]', 'n1'],
    ['n1,n[3-4]', 'n1'],
    ['nid[001-004,007]', 'nid001'],
    ['r[1-2]n[5,7]', 'r1n5'],
    ['None assigned', null],
    ['', null],
  ])('are written on the first node of %j', (list, host) => {
    expect(firstHost(list)).toBe(host);
  });
});

describe('a script that the accounting keeps', () => {
  const header = `Batch Script for 7\n${'-'.repeat(80)}\n`;

  it('is given back to the byte', () => {
    expect(parseKeptScript(`${header}#!/bin/sh\necho no newline\n`)).toBe('#!/bin/sh\necho no newline');
    expect(parseKeptScript(`${header}#!/bin/sh\n\nexit 0\n\n`)).toBe('#!/bin/sh\n\nexit 0\n');
  });

  it.each(['', `${header}NONE\n\n`, `${header}\n`, 'sacct: error\n'])('is null where there is none: %j', (output) => {
    expect(parseKeptScript(output)).toBeNull();
  });
});

describe('a list of jobs', () => {
  const row = (id: string, state: string, submitted: number) =>
    `${id}¦${state}¦None¦0¦cap¦0:07¦20:00¦${submitted}¦${submitted}¦${submitted}¦1¦2¦cpu=2¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦1¦run¦/home/gcsa¦\n`;
  const record = (id: string, state: string, submitted: number) =>
    `${id}¦${state}¦None¦0:0¦cap¦7¦00:00:00¦20¦${submitted}¦${submitted}¦${submitted}¦1¦2¦2¦cpu=2¦cpu=2¦n1¦debug¦gcsa¦1001¦gcsa¦proj01¦1¦run¦/home/gcsa¦\n`;
  const merge = async (queue: string, accounting: string) =>
    mergeRows(parseSqueueJobs(queue, '¦'), await readSacctJobs(accounting, '¦')).map(({ job }) => [
      job.jobId,
      job.status.state,
    ]);

  it('holds what waits by the queue alone, and what ended by the accounting alone', async () => {
    expect(await merge(row('9', 'PENDING', 20), record('3', 'COMPLETED', 10))).toEqual([
      ['9', 'PENDING'],
      ['3', 'COMPLETED'],
    ]);
  });

  it('holds a job that was submitted between the two answers, and no range that was split since', async () => {
    const queue = row('5_1', 'RUNNING', 10) + row('5_[2-3]', 'PENDING', 10);
    const accounting = record('5_[1-3]', 'PENDING', 10) + record('6', 'PENDING', 11);
    expect(await merge(queue, accounting)).toEqual([
      ['5_1', 'RUNNING'],
      ['5_[2-3]', 'PENDING'],
      ['6', 'PENDING'],
    ]);
  });

  it('is read with pauses when it is long, and to the last job', async () => {
    const text = Array.from({ length: 20_000 }, (_, index) => record(String(index + 1), 'COMPLETED', index)).join('');
    let turns = 0;
    const others = setInterval(() => {
      turns += 1;
    }, 1);
    const jobs = await readSacctJobs(text, '¦').finally(() => clearInterval(others));
    expect(turns).toBeGreaterThan(0);
    expect([jobs.length, jobs[0]?.job.jobId, jobs.at(-1)?.job.jobId]).toEqual([20_000, '1', '20000']);
  });

  it('is narrowed on the cluster by arguments of their own', () => {
    const filter = { username: 'gcsa', account: 'a b', name: 'x' };
    expect(buildSqueueList(filter, '¦')).toEqual(
      expect.arrayContaining(['--all', '--states=all', '--user=gcsa', '--account=a b', '--name=x']),
    );
    expect(buildSacctList(filter, 3_600, '¦')).toEqual(
      expect.arrayContaining(['--user=gcsa', '--accounts=a b', '--name=x', '--starttime=now-3600seconds']),
    );
    const all = { username: null, account: null, name: null };
    expect(buildSacctList(all, 1, '¦')).toContain('--allusers');
    expect(buildSqueueList(all, '¦').filter((word) => /^--(user|account|name)=/.test(word))).toEqual([]);
  });
});
