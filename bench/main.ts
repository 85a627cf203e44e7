/**
 * `npm run bench`: the floor (what the same work costs without the broker) against the way through API, queue, worker
 * and SSH, in one run on one machine. Writes docs/performance.md; ratios within a run are what counts.
 */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startBroker } from '../lab/broker.ts';
import { startLab } from '../lab/lab.ts';
import { userNamed } from '../lab/users.ts';
import { openFace } from './face.ts';
import { prepareFileCells } from './file-cells.ts';
import { openFloor } from './floor.ts';
import { crowdClients, judgeCrowd, prepareJobCells } from './job-cells.ts';
import { type Load, measure } from './measure.ts';
import { type MemoryFolder, memoryFolder } from './memory-folder.ts';
import { judge, judgeFiles, judgeListingMemory, performancePage, type Verdict } from './page.ts';
import { residentMebibytes } from './process-cpu.ts';
import { type Row, terminalHead, terminalLine } from './report.ts';
import { type Cell, runInTurns } from './rounds.ts';
import { openSftpStreams } from './sftp-streams.ts';

const help = `Usage: npm run bench -- [options]

  --quick       shorter cells, one round, and docs/performance.md is left alone
  --no-submit   leave out job submission
  --one         only what one client waits for a status and a submission; docs/performance.md is left alone
  --files       only the file operations; docs/performance.md is left alone
  --jobs        only the state of jobs; docs/performance.md is left alone
  --help        this text
`;

const clientCounts = [1, 8, 64, 500] as const;

interface Settings {
  /** Of each cell. Of one client's there are more, and shorter ones. */
  rounds: (callers: number) => number;
  cell: (callers: number) => Load;
  submitCell: (callers: number) => Load;
  memoryRequests: number;
}

const full: Settings = {
  rounds: (callers) => (callers === 1 ? 9 : 3),
  cell: (callers) => ({ callers, countMax: callers === 1 ? 500 : 8_000, durationMsMax: callers === 1 ? 1_500 : 4_000 }),
  submitCell: (callers) => ({ callers, countMax: callers === 1 ? 30 : Math.max(100, callers), durationMsMax: 15_000 }),
  memoryRequests: 100_000,
};
const quick: Settings = {
  rounds: (callers) => (callers === 1 ? 5 : 1),
  cell: (callers) => ({ callers, countMax: callers === 1 ? 200 : 3_000, durationMsMax: 2_000 }),
  submitCell: (callers) => ({ callers, countMax: callers === 1 ? 20 : Math.max(40, callers), durationMsMax: 8_000 }),
  memoryRequests: 10_000,
};

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      'no-submit': { type: 'boolean' },
      one: { type: 'boolean' },
      files: { type: 'boolean' },
      jobs: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return print(help);
  const settings = values.quick ? quick : full;
  const isPart = values.files === true || values.jobs === true || values.one === true;
  const isWithoutJobs = values['no-submit'] === true || values.files === true;
  const parts = ['redis', 'sshd', 'oidc', 'slurm'] as const;
  const lab = await startLab({ parts: isWithoutJobs ? parts.slice(0, 3) : parts });
  let inMemory: MemoryFolder | undefined;
  try {
    const alice = userNamed(lab.users, 'alice');
    inMemory = memoryFolder(alice);
    const broker = await startBroker(lab, {
      ...{ isCompiled: true, scheduler: isWithoutJobs ? 'process' : 'slurm' },
      fileSystems: [
        { path: alice.home, data_type: 'users', default_work_dir: true },
        { path: inMemory.path, data_type: 'scratch' },
      ],
    });
    const floor = await openFloor(lab, alice);
    const streams = await openSftpStreams(lab, alice);
    const face = await openFace(lab, broker);
    const rows: Row[] = [];
    print(terminalHead);
    const runAll = async (cells: readonly Cell[]): Promise<void> => {
      const added = await runInTurns(face, cells, settings.rounds(cells[0]?.load.callers ?? 1));
      rows.push(...added);
      for (const row of added) {
        print(terminalLine(row));
        if (row.measurement.firstError) print(`    first error: ${row.measurement.firstError}`);
      }
    };
    const run = (what: string, load: Load, work: Cell['work']): Promise<void> => runAll([{ what, load, work }]);
    const together = (load: Load, cells: readonly (readonly [what: string, work: Cell['work']])[]): Promise<void> =>
      runAll(cells.map(([what, work]) => ({ what, load, work })));

    const cancelAll = () => lab.slurm.admin('scancel', ['--user', alice.username]);

    const measureJobs = async (): Promise<Verdict[]> => {
      const cells = await prepareJobCells(lab, face, floor, alice.home);
      await measure(settings.submitCell(8), cells.alone);
      await run('floor: squeue of one job', settings.submitCell(1), cells.floor);
      await run('HTTP GET compute job', settings.submitCell(1), cells.alone);
      const [before, since] = [await cells.queries(), performance.now()];
      await run('HTTP GET compute job, one each', settings.cell(crowdClients), cells.crowd);
      const verdict = judgeCrowd((performance.now() - since) / 1_000, (await cells.queries()) - before);
      await cells.remove();
      return [verdict];
    };

    // Warm up: V8 compiles what runs often, and a service is measured as it runs for days, not in its first seconds.
    await measure({ callers: 8, countMax: 8_000, durationMsMax: 15_000 }, face.stat);
    if (!isWithoutJobs) {
      await measure({ callers: 4, countMax: 1_000, durationMsMax: 10_000 }, face.submit);
      await measure({ callers: 1, countMax: 50, durationMsMax: 2_000 }, floor.submit);
      await cancelAll();
    }
    const isOne = values.one === true;
    for (const callers of isOne ? [1] : isPart ? [] : clientCounts) {
      const load = settings.cell(callers);
      const execLoad = { ...load, countMax: Math.min(load.countMax, callers === 1 ? 200 : 600) };
      if (callers <= 64 && !isOne) await run('floor: exec true', execLoad, floor.exec);
      if (!isOne) await run('floor: SFTP stat', load, floor.sftpStat);
      await together(load, [
        ['floor: lstat loop', floor.stat],
        ['HTTP GET ops/stat', face.stat],
      ]);
      if (!isOne)
        await together(load, [
          ['floor: SFTP list of 100', floor.list],
          ['HTTP GET ops/ls (100 entries)', face.list],
        ]);
      if (isWithoutJobs) continue;
      await together(settings.submitCell(callers), [
        ...(callers <= 8 ? [['floor: sbatch', floor.submit] as const] : []),
        ['HTTP POST compute jobs', face.submit],
      ]);
      await cancelAll();
    }
    const jobVerdicts = isWithoutJobs || isOne ? [] : await measureJobs();
    const cells = values.jobs || isOne ? [] : await prepareFileCells(face, floor, streams, alice, inMemory.path);
    for (const cell of cells) {
      for (const callers of cell.clients) {
        // As above: a route that is used is compiled.
        await measure({ callers: Math.max(callers, 4), countMax: 1_500, durationMsMax: 1_500 }, cell.byHttp);
        await together(settings.cell(callers), [
          ...(callers === 1 ? [[cell.floorWhat, cell.floor] as const] : []),
          ...(callers === 1 && cell.plain ? [[cell.plain.what, cell.plain.work] as const] : []),
          [cell.what, cell.byHttp],
        ]);
      }
    }
    const fileVerdicts = judgeFiles(rows, cells);
    const listing = isOne ? undefined : cells.find(({ what }) => what.includes('ops/ls'));
    if (listing) fileVerdicts.push(judgeListingMemory(await measureListing(listing.byHttp, broker.api.pid())));
    const memory = isOne ? null : await measureMemory(face.stat, settings.memoryRequests, broker.api.pid());
    if (memory) print(`API memory after ${memory.requests} requests: ${memory.afterMebibytes.toFixed(0)} MiB`);
    const verdicts = [...judge(rows, memory), ...jobVerdicts, ...fileVerdicts];
    for (const verdict of verdicts) print(`${verdict.isMet ? 'met    ' : 'NOT MET'} ${verdict.text}`);
    if (!values.quick && !isPart && memory) {
      const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
      const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
      writeFileSync(page, performancePage({ machine, rows, verdicts, memory }));
      print('written: docs/performance.md');
    }
    streams.close();
    await floor.close();
    face.close();
    await broker.stop();
  } finally {
    await lab.stop();
    inMemory?.remove();
  }
}

/** Memory of the API over many large listings: what is streamed must leave nothing behind. */
async function measureListing(list: (caller: number) => Promise<void>, pid: number | undefined) {
  const round = { callers: 4, countMax: 60, durationMsMax: 30_000 };
  const size = (): number => (pid === undefined ? Number.NaN : residentMebibytes(pid));
  await measure(round, list);
  const beforeMebibytes = size();
  const { count } = await measure(round, list);
  return { count, beforeMebibytes, afterMebibytes: size() };
}

async function measureMemory(request: (caller: number) => Promise<void>, count: number, pid: number | undefined) {
  const size = (): number => (pid === undefined ? Number.NaN : residentMebibytes(pid));
  await measure({ callers: 32, countMax: Math.round(count / 2), durationMsMax: 120_000 }, request);
  const halfwayMebibytes = size();
  const second = await measure({ callers: 32, countMax: Math.round(count / 2), durationMsMax: 120_000 }, request);
  return { requests: count, halfwayMebibytes, afterMebibytes: size(), errors: second.errors };
}

await main();
