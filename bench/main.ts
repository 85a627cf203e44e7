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
import { type Load, type Measurement, measure, middleOf } from './measure.ts';
import { judge, judgeFiles, performancePage, type Verdict } from './page.ts';
import { residentMebibytes } from './process-cpu.ts';
import { type Row, terminalHead, terminalLine } from './report.ts';

const help = `Usage: npm run bench -- [options]

  --quick       shorter cells, one round, and docs/performance.md is left alone
  --no-submit   leave out job submission
  --files       only the file operations; docs/performance.md is left alone
  --jobs        only the state of jobs; docs/performance.md is left alone
  --help        this text
`;

const clientCounts = [1, 8, 64, 500] as const;

interface Settings {
  rounds: number;
  cell: (callers: number) => Load;
  submitCell: (callers: number) => Load;
  memoryRequests: number;
}

const full: Settings = {
  rounds: 3,
  cell: (callers) => ({ callers, countMax: callers === 1 ? 1_500 : 8_000, durationMsMax: 4_000 }),
  submitCell: (callers) => ({ callers, countMax: callers === 1 ? 60 : Math.max(100, callers), durationMsMax: 15_000 }),
  memoryRequests: 100_000,
};
const quick: Settings = {
  rounds: 1,
  cell: (callers) => ({ callers, countMax: callers === 1 ? 500 : 3_000, durationMsMax: 2_000 }),
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
      files: { type: 'boolean' },
      jobs: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return print(help);
  const settings = values.quick ? quick : full;
  const isPart = values.files === true || values.jobs === true;
  const isWithoutJobs = values['no-submit'] === true || values.files === true;
  const parts = ['redis', 'sshd', 'oidc', 'slurm'] as const;
  const lab = await startLab({ parts: isWithoutJobs ? parts.slice(0, 3) : parts });
  try {
    const broker = await startBroker(lab, { isCompiled: true, scheduler: isWithoutJobs ? 'process' : 'slurm' });
    const alice = userNamed(lab.users, 'alice');
    const floor = await openFloor(lab, alice);
    const face = await openFace(lab, broker);
    const rows: Row[] = [];
    print(terminalHead);
    const run = async (what: string, load: Load, work: (caller: number) => Promise<void>): Promise<Row> => {
      const rounds: Measurement[] = [];
      const before = face.cpu();
      for (let round = 0; round < settings.rounds; round += 1) rounds.push(await measure(load, work));
      const requests = rounds.reduce((sum, { count, errors }) => sum + count + errors, 0);
      const row: Row = { what, callers: load.callers, measurement: middleOf(rounds) };
      if (what.startsWith('HTTP')) row.cpu = face.cpuPerRequest(before, requests);
      rows.push(row);
      print(terminalLine(row));
      if (row.measurement.firstError) print(`    first error: ${row.measurement.firstError}`);
      return row;
    };

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
    if (!isWithoutJobs) await measure({ callers: 4, countMax: 200, durationMsMax: 10_000 }, face.submit);
    for (const callers of isPart ? [] : clientCounts) {
      const load = settings.cell(callers);
      if (callers <= 64) await run('floor: exec true', { ...load, countMax: Math.min(load.countMax, 600) }, floor.exec);
      await run('floor: SFTP stat', load, floor.sftpStat);
      await run('floor: lstat loop', load, floor.stat);
      await run('floor: SFTP list of 100', load, floor.list);
      await run('HTTP GET ops/stat', load, face.stat);
      await run('HTTP GET ops/ls (100 entries)', load, face.list);
      if (isWithoutJobs) continue;
      const submitLoad = settings.submitCell(callers);
      if (callers <= 8) await run('floor: sbatch', submitLoad, floor.submit);
      await run('HTTP POST compute jobs', submitLoad, face.submit);
      await lab.slurm.admin('scancel', ['--user', userNamed(lab.users, 'alice').username]);
    }
    const jobVerdicts = isWithoutJobs ? [] : await measureJobs();
    const cells = values.jobs ? [] : await prepareFileCells(face, floor, alice);
    for (const cell of cells) {
      for (const callers of cell.clients) {
        // Twice, since the first to stream pays for the compiler.
        await measure({ ...settings.cell(callers), durationMsMax: 500 }, cell.byHttp);
        if (callers === 1) await run(cell.floorWhat, settings.cell(1), cell.floor);
        await run(cell.what, settings.cell(callers), cell.byHttp);
      }
    }
    const fileVerdicts = judgeFiles(rows, cells);
    const memory = await measureMemory(face.stat, settings.memoryRequests, broker.api.pid());
    print(`API memory after ${memory.requests} requests: ${memory.afterMebibytes.toFixed(0)} MiB`);
    const verdicts = [...judge(rows, memory), ...jobVerdicts, ...fileVerdicts];
    for (const verdict of verdicts) print(`${verdict.isMet ? 'met    ' : 'NOT MET'} ${verdict.text}`);
    if (!values.quick && !isPart) {
      const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
      const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
      writeFileSync(page, performancePage({ machine, rows, verdicts, memory }));
      print('written: docs/performance.md');
    }
    await floor.close();
    face.close();
    await broker.stop();
  } finally {
    await lab.stop();
  }
}

async function measureMemory(request: (caller: number) => Promise<void>, count: number, pid: number | undefined) {
  const size = (): number => (pid === undefined ? Number.NaN : residentMebibytes(pid));
  await measure({ callers: 32, countMax: Math.round(count / 2), durationMsMax: 120_000 }, request);
  const halfwayMebibytes = size();
  const second = await measure({ callers: 32, countMax: Math.round(count / 2), durationMsMax: 120_000 }, request);
  return { requests: count, halfwayMebibytes, afterMebibytes: size(), errors: second.errors };
}

await main();
