/** What the bench of transfers found, judged, as a table and as docs/performance-transfers.md. */
import type { Verdict } from './page.ts';
import { elsewhere } from './transfer-stream-cell.ts';
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
    .map((text, at) => (at < 2 ? text.padEnd(30) : text.padStart(10)))
    .join('');
}

type Find = (cell: string, what: string) => TransferRow | undefined;

function rowIn(rows: readonly TransferRow[]): Find {
  return (cell, what) => rows.find((row) => row.cell === cell && row.what === what);
}

/** Of the rates. */
function ratioOf(row: TransferRow, base: TransferRow): number {
  return row.sizeBytes / row.seconds / (base.sizeBytes / base.seconds);
}

/** Ratios within the run; a figure that was not measured is not judged. */
export function judgeTransfers(rows: readonly TransferRow[]): Verdict[] {
  const of = rowIn(rows);
  const verdicts: Verdict[] = [];
  const share = (cell: string, what: string, base: string, least: number, said: string): void => {
    const [row, plain] = [of(cell, what), of(cell, base)];
    if (!row || !plain) return;
    const ratio = ratioOf(row, plain);
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
  const aside =
    "the rate of a raw ssh2 stream out of the cluster, into a store that takes next to none of the machine's time";
  share('stream', `download, ${elsewhere}`, 'raw ssh2, out', 0.55, aside);
  share('stream', 'upload', 'raw ssh2, in', 0.55, 'the rate of a raw ssh2 stream into the cluster');
  for (const row of rows) {
    if (row.cpuSeconds === undefined || row.what !== 'large upload') continue;
    const each = (row.cpuSeconds * gibi) / row.sizeBytes;
    const small = of(row.cell, 'small upload')?.cpuSeconds ?? Number.NaN;
    const more = `a small file costs ${small.toFixed(3)} s`;
    const text = `${row.cell}, ${row.what}: ${each.toFixed(3)} s of the broker's processor time a GiB (at most 0.02); ${more}`;
    verdicts.push({ text, isMet: each <= 0.02 });
  }
  const memory = Math.max(...rows.map(({ workerMebibytes = 0 }) => workerMebibytes));
  if (memory > 0) {
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

/** What no target is set for, and is told beside them so that nobody has to work it out. */
export function besideTargets(rows: readonly TransferRow[]): string[] {
  const of = rowIn(rows);
  const said: string[] = [];
  const tell = (what: string, base: string, text: string): void => {
    const [row, other] = [of('stream', what), of('stream', base)];
    if (row && other) said.push(`stream, ${what}: ${ratioOf(row, other).toFixed(2)} × ${text}`);
  };
  const [shared, aside] = [of('stream', 'download'), of('stream', `download, ${elsewhere}`)];
  const more = (((shared?.machineSeconds ?? 0) - (aside?.machineSeconds ?? 0)) * gibi) / (shared?.sizeBytes ?? gibi);
  const reason = `with a store on the same cores, for which ${more.toFixed(1)} s of processor time a GiB go that the raw stream does not need`;
  tell('download', 'raw ssh2, out', `the rate of a raw ssh2 stream out of the cluster, ${reason}`);
  tell('download', 'plain relay', 'the rate of a relay without any digest into the same store');
  tell(`plain relay, ${elsewhere}`, 'raw ssh2, out', 'the rate of a raw ssh2 stream: a relay without any digest');
  return said;
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
in the same time without any transfer is taken off, for the large ones in an idle time right behind each round, as long as the
round. An upload is one for which the client named a digest, where nothing else is said.

Rows of a \`${elsewhere}\` have a fake in the place of the store (\`bench/fake-store.ts\`), since what the lab's own takes is of the same
cores, and a raw SSH stream, which they are held against, has no store. The mover and all that it does are the real ones: every byte
passes, the cluster makes the SHA-256 of each part and of the whole, and each part goes with its own signed, to which the store has to
hold it. The fake compares each byte with the file's, and the digest with one that was made beforehand; a real store makes it, 0.6 s a GiB here
([decision 73](decisions/0073-the-store-holds-parts-of-a-relay-to-their-sha-256.md)). The target of a download by \`stream\` is
judged by that row, and no longer by the one into the lab's store: it was set beside a relay that hashes nothing, which had 0.63 to
0.71 of the raw stream into a sink of this kind ([decision 67](decisions/0067-what-passed-is-freed-and-the-store-is-taken-out.md)).

${lines.map((line) => `| ${line.join(' | ')} |`).join('\n')}

## Targets

${judgeTransfers(rows)
  .map(({ text, isMet }) => `- ${isMet ? 'met' : '**not met**'}: ${text}`)
  .join('\n')}

Without a target:

${besideTargets(rows)
  .map((text) => `- ${text}`)
  .join('\n')}
`;
}
