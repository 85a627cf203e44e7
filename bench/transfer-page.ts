/** What the bench of transfers found, judged, as a table and as docs/performance-transfers.md. */
import type { Verdict } from './page.ts';
import type { TransferRow } from './transfer-watch.ts';

const gibi = 2 ** 30;

function fixed(value: number | undefined, digits: number): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits);
}

function cells(row: TransferRow): string[] {
  const { cell, what, sizeBytes, seconds, cpuSeconds, machineSeconds } = row;
  const { inPlaceSeconds, noticedSeconds, workerMebibytes } = row;
  return [
    ...[cell, what, fixed(sizeBytes / 2 ** 20, 0), fixed(seconds, 2), fixed(sizeBytes / 1e6 / seconds, 0)],
    fixed(machineSeconds === undefined ? undefined : (machineSeconds * gibi) / sizeBytes, 1),
    fixed(cpuSeconds, 3),
    ...[fixed(inPlaceSeconds, 2), fixed(noticedSeconds, 2), fixed(workerMebibytes, 0)],
  ];
}

const head = [
  ...['mover', 'what', 'MiB', 'seconds', 'MB/s', 'machine CPU-s/GiB', 'broker CPU-s'],
  ...['in place s', 'noticed s', 'worker MiB'],
];

/** One line for the terminal. */
export function transferLine(row: TransferRow): string {
  return cells(row)
    .map((text, at) => (at < 2 ? text.padEnd(24) : text.padStart(10)))
    .join('');
}

/** Ratios within the run; a figure that was not measured is not judged. */
export function judgeTransfers(rows: readonly TransferRow[]): Verdict[] {
  const of = (cell: string, what: string) => rows.find((row) => row.cell === cell && row.what === what);
  const verdicts: Verdict[] = [];
  const share = (cell: string, what: string, base: string, least: number, said: string): void => {
    const [row, plain] = [of(cell, what), of(cell, base)];
    if (!row || !plain) return;
    const ratio = row.sizeBytes / row.seconds / (plain.sizeBytes / plain.seconds);
    verdicts.push({
      text: `${cell}, ${what}: ${ratio.toFixed(2)} × ${said} (at least ${least})`,
      isMet: ratio >= least,
    });
  };
  share('command', 'upload', 'plain curl', 0.9, 'the rate of plain curl of as much from the same store');
  const unnamed = "the rate of plain curl, where the parts' MD5s are made on the cluster too";
  const hashed = 'the rate of plain curl into tee and a SHA-256: the least that a file which is vouched for costs here';
  share('command', 'upload', 'plain curl, tee, SHA-256', 0.9, hashed);
  share('command', 'upload without a digest', 'plain curl', 0.9, unnamed);
  share('capped', 'upload', 'one connection', 7, 'the rate of one connection of 20 MB/s, with 8 parts at once');
  share('capped', 'download', 'one connection', 7, 'the rate of one connection of 20 MB/s, with 8 parts at once');
  const link = "the rate of plain curl over a link that carries 100 MB/s in all, which is one connection's worth";
  share('shared', 'upload', 'plain curl, in', 0.9, link);
  share('shared', 'upload without a digest', 'plain curl, in', 0.9, link);
  share('shared', 'download', 'plain curl, out', 0.9, link);
  share('stream', 'download', 'raw ssh2, out', 0.55, 'the rate of a raw ssh2 stream out of the cluster');
  const relay = 'the rate of a relay without any digest into the same store, which shares the cores';
  share('stream', 'download', 'plain relay', 0.9, relay);
  share('stream', 'upload', 'raw ssh2, in', 0.55, 'the rate of a raw ssh2 stream into the cluster');
  for (const row of rows) {
    if (row.cpuSeconds === undefined || row.what !== 'large upload') continue;
    const each = (row.cpuSeconds * gibi) / row.sizeBytes;
    const small = of(row.cell, 'small upload')?.cpuSeconds ?? Number.NaN;
    const more = `a small file costs ${small.toFixed(3)} s`;
    const text = `${row.cell}, ${row.what}: ${each.toFixed(3)} s of the broker's processor time a GiB (at most 0.02); ${more}`;
    verdicts.push({ text, isMet: each <= 0.02 });
  }
  const memory = of('stream', 'upload')?.workerMebibytes;
  if (memory !== undefined) {
    verdicts.push({
      text: `stream: the worker had at most ${memory.toFixed(0)} MiB (at most 150)`,
      isMet: memory <= 150,
    });
  }
  const up = of('command', 'upload');
  if (up?.inPlaceSeconds !== undefined && up.noticedSeconds !== undefined) {
    const extra = up.inPlaceSeconds - up.seconds;
    verdicts.push({
      text: `command: in place ${up.inPlaceSeconds.toFixed(2)} s after the client's completion, ${extra.toFixed(2)} s more than moving took (at most 3)`,
      isMet: extra <= 3,
    });
    verdicts.push({
      text: `command: the task ended ${up.noticedSeconds.toFixed(2)} s after the file was in place (at most 2)`,
      isMet: up.noticedSeconds <= 2,
    });
  }
  return verdicts;
}

/** The whole page. */
export function transferPage({ machine, rows }: { machine: string; rows: readonly TransferRow[] }): string {
  const lines = [head, head.map((_, at) => (at < 2 ? '---' : '--:')), ...rows.map(cells)];
  return `# Performance of transfers

Written by \`npm run bench:transfer\`; do not edit. One run on one machine: ${machine}. Client, API, worker, Redis, sshd and
the S3 store (one radosgw over one OSD) share it, so compare figures within the page. Files on the cluster lie in memory.

Seconds are those that the mover took on the cluster, its checks included, or the plain tool; the middle one of three rounds,
which take turns. The machine's processor time is that of all that ran meanwhile, the store among it: over the number of cores,
it is the least that the moving can take. The broker's is that of API and worker from the client's completion of an upload, or
its wish for a download, to the end of the task, for one waiting client; for the small and the large uploads what the two cost
in the same time without any transfer is taken off. An upload is one for which the client named a digest, where nothing else is said.

${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}

## Targets

${judgeTransfers(rows)
  .map(({ text, isMet }) => `- ${isMet ? 'met' : '**not met**'}: ${text}`)
  .join('\n')}
`;
}
