/** Writes docs/performance-tasks.md. */
import { type Verdict, verdictList } from '../page.ts';
import { markdownTable, type Row } from '../report.ts';

/** Columns without the processor time of each request, which is not taken here. */
const columns = 7;

export function tasksPage(run: {
  machine: string;
  rows: readonly Row[];
  verdicts: readonly Verdict[];
  notes: readonly string[];
}): string {
  return `# Performance of tasks and notices

Written by \`npm run bench:tasks\`; do not edit. One run on one machine: ${run.machine}. The load, the API, one worker, Redis
(\`appendfsync always\`), sshd, Slurm, the 500 readers of events and the receiver of webhooks share it.

A task here is the status of a directory, which is small: what is measured is the broker. Tasks are counted by their records,
not by answers. The time of an event is that of the store or of the worker that wrote it, on the same clock as its reader's.
The figures for 1,000 and 1,000,000 kept tasks come from two brokers with a Redis each, asked in turns; all tasks belong to
one user. Most of the million are copies that a script made of the records of real ones.

${markdownTable(run.rows, columns)}

${run.notes.join('\n')}

## Targets

${verdictList(run.verdicts)}
`;
}
