/** Holds the results against what the broker must reach, and writes docs/performance.md. */
import type { FileCell } from './file-cells.ts';
import { markdownTable, type Row } from './report.ts';
import { addedMs } from './rounds.ts';

export interface MemoryResult {
  requests: number;
  halfwayMebibytes: number;
  afterMebibytes: number;
  errors: number;
}

/** One target and whether this run reached it. */
export interface Verdict {
  text: string;
  isMet: boolean;
}

const stat = 'HTTP GET ops/stat';
const submit = 'HTTP POST compute jobs';

/** The targets, each judged on rows of the same run. */
export function judge(rows: readonly Row[], memory: MemoryResult | null): Verdict[] {
  const row = (what: string, callers: number): Row | undefined =>
    rows.find((candidate) => candidate.what === what && candidate.callers === callers);
  const verdicts: Verdict[] = [];
  const overFloor = (what: string, floor: string, boundMs: number): void => {
    const [over, under] = [row(what, 1), row(floor, 1)];
    if (!over || !under) return;
    const { median, least, greatest } = addedMs(over, under);
    const spread = `${least.toFixed(2)} to ${greatest.toFixed(2)} in ${over.rounds?.length ?? 1} rounds`;
    verdicts.push({
      text: `${what}, 1 client: p50 is ${median.toFixed(2)} ms above ${floor} (at most ${boundMs}; ${spread})`,
      isMet: median <= boundMs,
    });
  };
  overFloor(stat, 'floor: lstat loop', 2.5);
  overFloor(submit, 'floor: sbatch', 3);
  const crowd = row(stat, 64)?.measurement;
  if (crowd) {
    verdicts.push({
      text: `${stat}, 64 clients: ${crowd.ratePerSecond.toFixed(0)} per second (at least 1,500), ${crowd.errors} errors (0)`,
      isMet: crowd.ratePerSecond >= 1_500 && crowd.errors === 0,
    });
  }
  const throng = row(stat, 500)?.measurement;
  if (throng) verdicts.push({ text: `${stat}, 500 clients: ${throng.errors} errors (0)`, isMet: throng.errors === 0 });
  if (memory === null) return verdicts;
  const grownMebibytes = memory.afterMebibytes - memory.halfwayMebibytes;
  verdicts.push({
    text:
      `API after ${memory.requests} requests: ${memory.afterMebibytes.toFixed(0)} MiB (under 150), ` +
      `${grownMebibytes.toFixed(0)} MiB more than halfway (at most 10)`,
    isMet: memory.afterMebibytes < 150 && grownMebibytes <= 10,
  });
  return verdicts;
}

/** What the way through the broker may add to a file operation at one client. */
const addedMsMax = 3;

/** Each file operation against its floor; where it has a target of its own, against that. */
export function judgeFiles(rows: readonly Row[], cells: readonly FileCell[]): Verdict[] {
  const at = (what: string, callers: number) => rows.find((row) => row.what === what && row.callers === callers);
  return cells.flatMap((cell): Verdict[] => {
    const [overRow, underRow] = [at(cell.what, 1), at(cell.floorWhat, 1)];
    if (!overRow || !underRow) return [];
    const [over, under] = [overRow.measurement, underRow.measurement];
    const times = over.p50 / under.p50;
    const ratio = `${cell.what}, 1 client: ${times.toFixed(2)} times ${cell.floorWhat}, ${(100 / times).toFixed(0)} % of its rate`;
    const { median } = addedMs(overRow, underRow);
    const added = {
      text: `${cell.what}, 1 client: p50 is ${median.toFixed(2)} ms above ${cell.floorWhat} (at most ${addedMsMax})`,
      isMet: median <= addedMsMax && over.errors === 0,
    };
    const { target } = cell;
    if (target === undefined) return [added];
    if ('sharePercentMin' in target) {
      const plain = at(cell.plain?.what ?? '', 1)?.measurement;
      const share = (100 * (plain?.p50 ?? Number.NaN)) / over.p50;
      const isMet = share >= target.sharePercentMin && over.errors === 0;
      const of = `${share.toFixed(0)} % of the rate of ${cell.plain?.what} (at least ${target.sharePercentMin} %)`;
      const ofFloor = `${(100 / times).toFixed(0)} % of the rate of ${cell.floorWhat}, for which there is no target`;
      return [{ text: `${cell.what}, 1 client: ${of}; ${ofFloor}`, isMet }];
    }
    if ('timesMax' in target) {
      return [
        { text: `${ratio} (at most ${target.timesMax} times)`, isMet: times <= target.timesMax && over.errors === 0 },
      ];
    }
    const clients = cell.clients.at(-1) ?? 1;
    const rate = at(cell.what, clients)?.measurement;
    const isMet = (rate?.ratePerSecond ?? 0) >= target.ratePerSecondMin && rate?.errors === 0;
    const text = `${cell.what}, ${clients} clients: ${rate?.ratePerSecond.toFixed(0)} per second (at least ${target.ratePerSecondMin}), ${rate?.errors} errors (0)`;
    return [added, { text, isMet }];
  });
}

/** A listing is some 1.6 MB, and four are under way at a time. */
export function judgeListingMemory(run: { count: number; beforeMebibytes: number; afterMebibytes: number }): Verdict {
  const grown = run.afterMebibytes - run.beforeMebibytes;
  return {
    text: `API over ${run.count} more listings of 10,000: ${run.afterMebibytes.toFixed(0)} MiB (under 150), ${grown.toFixed(0)} MiB more (at most 10)`,
    isMet: run.count > 0 && run.afterMebibytes < 150 && grown <= 10,
  };
}

/** The whole page. */
export function performancePage(run: {
  machine: string;
  rows: readonly Row[];
  verdicts: readonly Verdict[];
  memory: MemoryResult;
}): string {
  return `# Performance

Written by \`npm run bench\`; do not edit. One run on one machine: ${run.machine}. The load, the API, one worker, Redis
(\`appendfsync always\`), sshd and Slurm share it, so compare figures within the page, not with other machines.

A floor row is the same work called directly over one user's warm SSH connections, with no broker between; where the answer
shows how the file looks after a change, the look (\`lstat\`, of a link also where it leads) goes along with the change in one round trip. The rows
"HTTP …" go the whole way: HTTP, token, queue, worker, SSH and back. The last three columns are the processor time of
one request in each process. Each cell is the middle one of its rounds; errors are those of all rounds. A floor and what is
held against it take turns, round by round, and what is added to it is the median of the differences of p50 in each round.

Direct up- and downloads are meant to reach 0.7 of the rate of "the raw SFTP stream". Their targets are judged by the rows "plain: …": the
stream that the SSH library itself has, \`createReadStream\` read to its end and 64 KiB pieces piped into \`createWriteStream\`,
on a warm channel. The floor of the same size is something else, and faster: this project's own code, which keeps 2 MiB of requests under
way. Until November 2026 the target was judged by that floor, and not met by any size; the share of it is still told behind each verdict.
The files of all three lie in memory (/dev/shm), as in the bench of transfers: on the disk of this machine Redis's next sync waits for the
bytes of a file that took the name of another (ext4, 2 ms for 5 MiB), where in service the file is on the cluster and Redis is not.

${markdownTable(run.rows)}

## Targets

${verdictList(run.verdicts)}
`;
}

/** As a list in Markdown. */
export function verdictList(verdicts: readonly Verdict[]): string {
  return verdicts.map(({ text, isMet }) => `- ${isMet ? 'met' : '**not met**'}: ${text}`).join('\n');
}
