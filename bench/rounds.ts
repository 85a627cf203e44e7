/** Runs cells of the bench in turns, round by round: what is compared has met the same machine. */
import type { Face } from './face.ts';
import { type Load, type Measurement, measure, middleOf } from './measure.ts';
import type { CpuPerRequest, Row } from './report.ts';

/** One cell: what it is called, how it is loaded, and what is done. Names that begin with HTTP have their processor time measured. */
export interface Cell {
  what: string;
  load: Load;
  work: (caller: number) => Promise<void>;
}

/** A row for each cell, in order. */
export async function runInTurns(face: Pick<Face, 'cpu'>, cells: readonly Cell[], roundsCount: number): Promise<Row[]> {
  const taken = cells.map((cell) => ({ cell, rounds: [] as Measurement[], cpu: { api: 0, worker: 0, redis: 0 } }));
  for (let round = 0; round < roundsCount; round += 1) {
    for (const { cell, rounds, cpu } of taken) {
      const before = face.cpu();
      rounds.push(await measure(cell.load, cell.work));
      const after = face.cpu();
      for (const name of ['api', 'worker', 'redis'] as const) cpu[name] += after[name] - before[name];
    }
  }
  return taken.map(({ cell, rounds, cpu }) => {
    const row: Row = { what: cell.what, callers: cell.load.callers, measurement: middleOf(rounds), rounds };
    return cell.what.startsWith('HTTP') ? { ...row, cpu: perRequest(cpu, rounds) } : row;
  });
}

function perRequest(seconds: CpuPerRequest, rounds: readonly Measurement[]): CpuPerRequest {
  const requests = Math.max(
    1,
    rounds.reduce((sum, { count, errors }) => sum + count + errors, 0),
  );
  const micro = (value: number): number => (value * 1e6) / requests;
  return { api: micro(seconds.api), worker: micro(seconds.worker), redis: micro(seconds.redis) };
}

/** What one row adds to another, round by round: the median of the differences of p50, and the least and greatest; ms. */
export function addedMs(over: Row, under: Row): { median: number; least: number; greatest: number } {
  const [overRounds, underRounds] = [over, under].map((row) => row.rounds ?? [row.measurement]) as [
    readonly Measurement[],
    readonly Measurement[],
  ];
  const differences = overRounds
    .flatMap((round, at) => {
      const below = underRounds[at];
      return below === undefined ? [] : [round.p50 - below.p50];
    })
    .sort((a, b) => a - b);
  const at = (index: number): number => differences[index] ?? Number.NaN;
  return { median: at(Math.floor((differences.length - 1) / 2)), least: at(0), greatest: at(differences.length - 1) };
}
