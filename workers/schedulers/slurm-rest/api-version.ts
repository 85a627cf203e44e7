/** Which version of slurmrestd's API is spoken: the newest that both sides know, found by asking. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { failed } from './answers.ts';
import { type Dialect, dialects, findDialect } from './dialects.ts';
import type { Rest } from './rest-client.ts';

/** slurmrestd may be upgraded while we run. */
const keepMs = 600_000;

export interface Asker {
  username: string;
  signal: AbortSignal;
}

/** Gives the dialect to speak. SchedulerFailed where slurmrestd does not answer or speaks none that is known here. */
export type ChooseDialect = (asker: Asker) => Promise<Dialect>;

/** `configured` as `0.0.38` or `v0.0.38` is used unasked; null: the newest that answers a ping, asked again now and then. */
export function createDialectChoice(rest: Rest, configured: string | null): ChooseDialect {
  let known: { at: number; dialect: Dialect } | undefined;
  return async (asker) => {
    if (configured !== null) return dialectOf(configured);
    // Kept when it is known only: one user's token or patience is not to fail others, so each asks for itself.
    if (known && Date.now() - known.at < keepMs) return known.dialect;
    const dialect = await newest(rest, asker);
    known = { at: Date.now(), dialect };
    return dialect;
  };
}

function dialectOf(version: string): Dialect {
  const dialect = findDialect(version);
  if (dialect) return dialect;
  throw new BrokerError('SchedulerFailed', `The version ${version} of the API of slurmrestd is not known here.`);
}

async function newest(rest: Rest, { username, signal }: Asker): Promise<Dialect> {
  for (const dialect of dialects) {
    const path = `/slurm/v${dialect.version}/ping`;
    const answer = await rest({ method: 'GET', path, username, signal });
    if (answer.status === 200) return dialect;
    if (answer.status !== 404) throw failed('slurmrestd refused a ping.', answer);
  }
  const [last] = dialects.slice(-1);
  const message = `slurmrestd speaks no version of its API from 0.0.${last?.minor} to 0.0.${dialects[0]?.minor}.`;
  throw new BrokerError('SchedulerFailed', message);
}
