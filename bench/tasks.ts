/**
 * `npm run bench:tasks`: the asynchronous contract in figures: accepting, event streams, webhooks, watches of jobs, fairness
 * between users, and what many kept tasks cost. Writes docs/performance-tasks.md.
 */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startBroker } from '../lab/broker.ts';
import { startLab } from '../lab/lab.ts';
import { measure } from './measure.ts';
import type { Verdict } from './page.ts';
import { type Row, terminalHead, terminalLine } from './report.ts';
import { measureAccepting } from './tasks/accept-cell.ts';
import { measureFairness } from './tasks/fairness-cell.ts';
import { callerOf, type Findings, type Ground, openGround } from './tasks/ground.ts';
import { measureKept } from './tasks/kept-cell.ts';
import { measureStreams, streamClients } from './tasks/stream-cell.ts';
import { tasksPage } from './tasks/tasks-page.ts';
import { measureWatches } from './tasks/watch-cell.ts';
import { measureWebhooks, startBenchReceiver } from './tasks/webhook-cell.ts';

const cellNames = ['accept', 'fairness', 'streams', 'webhooks', 'watches', 'kept'] as const;
type CellName = (typeof cellNames)[number];
const keptDefault = '1000000';

const help = `Usage: npm run bench:tasks -- [options]

  --only NAMES   only these cells, by commas: ${cellNames.join(', ')}; docs/performance-tasks.md is left alone
  --kept N       kept tasks beside 1,000; with another number than ${keptDefault} the page is left alone
  --help         this text
`;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** V8 compiles what runs often, and a service is measured as it runs for days. */
async function warmUp(ground: Ground): Promise<void> {
  const { alice, statOf } = ground;
  const single = alice.request('POST', '/tasks', statOf(alice));
  const load = { callers: 8, countMax: 6_000, durationMsMax: 8_000 };
  await measure(load, async (caller) => callerOf(ground, caller).call(single, 202));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      kept: { type: 'string', default: keptDefault },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return print(help);
  const wanted = values.only === undefined ? cellNames : (values.only.split(',') as CellName[]);
  const receiver = await startBenchReceiver();
  const lab = await startLab({ parts: ['redis', 'sshd', 'oidc', 'slurm'] });
  try {
    const broker = await startBroker(lab, {
      isCompiled: true,
      goldcrest: {
        tasks: { open_per_user_max: 1_000_000, open_per_queue_max: 1_000_000 },
        events: { streams_per_user_max: 2 * streamClients },
      },
      webhookPorts: [receiver.port],
    });
    const ground = await openGround(lab, broker, lab.redis.url);
    const cells: Record<CellName, () => Promise<Findings>> = {
      accept: () => measureAccepting(ground),
      fairness: () => measureFairness(ground),
      streams: () => measureStreams(ground),
      webhooks: () => measureWebhooks(ground, receiver),
      watches: () => measureWatches(ground),
      async kept() {
        ground.close();
        await broker.stop();
        return measureKept(lab, Number(values.kept));
      },
    };
    const rows: Row[] = [];
    const verdicts: Verdict[] = [];
    const notes: string[] = [];
    await warmUp(ground);
    print(terminalHead);
    for (const name of cellNames.filter((cell) => wanted.includes(cell))) {
      const found = await cells[name]();
      for (const row of found.rows) {
        print(terminalLine(row));
        if (row.measurement.firstError) print(`    first error: ${row.measurement.firstError}`);
      }
      for (const verdict of found.verdicts) print(`${verdict.isMet ? 'met    ' : 'NOT MET'} ${verdict.text}`);
      for (const note of found.notes ?? []) print(note);
      rows.push(...found.rows);
      notes.push(...(found.notes ?? []));
      verdicts.push(...found.verdicts);
    }
    ground.close();
    await broker.stop();
    if (wanted.length === cellNames.length && values.kept === keptDefault) {
      const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
      const page = fileURLToPath(new URL('../docs/performance-tasks.md', import.meta.url));
      writeFileSync(page, tasksPage({ machine, rows, verdicts, notes }));
      print('written: docs/performance-tasks.md');
    }
  } finally {
    receiver.close();
    await lab.stop();
  }
}

await main();
