/**
 * Single values as slurmrestd writes them. Until v0.0.38 a number is a number, or null for one that is not set; later
 * it is mostly `{"set": true, "infinite": false, "number": 5}`. A state is a word, later a list of words. These readers
 * take every form, so that the schemas need not know of versions.
 */
import { z } from 'zod';
import { baseState } from '../slurm-cli/job-states.ts';
import { exitStatus } from '../slurm-cli/values.ts';

/** From here on a number is one of Slurm's words for "not set" and "infinite" (NO_VAL and INFINITE of slurm.h). */
const noValueFrom = 0xfffffffd;

const wrapped = z.object({ set: z.boolean().optional(), infinite: z.boolean().optional(), number: z.number() });

/** A whole number; null where it is not set or infinite. */
export const slurmNumber = z.preprocess(plainNumber, z.int().nullable()).default(null);

/** A count of bytes, which may be any number. */
export const slurmBytes = z.preprocess((value) => (value === -1 ? null : value), z.int().nullable()).default(null);

/** Seconds since the epoch; null for 0, which means not yet. */
export const slurmTime = slurmNumber.transform((seconds) => (seconds === 0 ? null : seconds));

/** A text, where Slurm's forms of nothing are null. */
export const slurmText = z
  .preprocess((value) => (value === '' || value === '(null)' ? null : value), z.string().nullable())
  .default(null);

/** A list of words; a text is a list that commas separate. */
export const slurmWords = z
  .preprocess(
    (value) => (typeof value === 'string' ? value.split(',').filter((word) => word !== '') : value),
    z.array(z.string()).nullable(),
  )
  .default(null);

/** A job's state as its bare base word. A list holds the base word and flags, of which a flag says more. */
export const slurmJobState = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((state) => baseState(shownWord(typeof state === 'string' ? [state] : state)));

const signal = z
  .looseObject({ id: slurmNumber, signal_id: slurmNumber })
  .transform(({ id, signal_id }) => id ?? signal_id ?? 0);

/** A wait status, or an object with the code and perhaps the signal. */
export const slurmExit = z
  .union([
    z.number().transform((status) => exitStatus(String(status))),
    z
      .looseObject({ return_code: slurmNumber, signal: signal.nullish() })
      .transform(({ return_code, signal: ended }) => ({
        exitCode: return_code ?? (ended === null || ended === undefined ? null : 0),
        interruptSignal: return_code === null && !ended ? null : (ended ?? 0),
      })),
  ])
  .nullish()
  .transform((status) => status ?? { exitCode: null, interruptSignal: null });

function plainNumber(value: unknown): unknown {
  const { success, data } = wrapped.safeParse(value);
  const number = success ? (data.set === false || data.infinite === true ? null : data.number) : value;
  if (typeof number === 'string' && /^-?\d{1,15}$/.test(number)) return Number(number);
  return typeof number === 'number' && (number >= noValueFrom || number < 0) ? null : (number ?? null);
}

function shownWord(words: readonly string[]): string {
  return words.find((word) => baseState(word) !== word) ?? words[0] ?? 'UNKNOWN';
}
