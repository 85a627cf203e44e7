/** What an answer of slurmrestd means: its list of errors, each with a number of slurm_errno.h and words. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RestAnswer } from './rest-client.ts';

/** ESLURM_INVALID_JOB_ID: the controller knows no such job. */
export const unknownJob = 2017;
/** ESLURM_ACCESS_DENIED and its like. */
export const accessDenied = 2002;
/** ESLURM_ALREADY_DONE. */
export const alreadyDone = 2021;
/** ESLURM_REST_EMPTY_RESULT: the accounting knows nothing of the kind. */
const nothingFound = 9003;

export interface RestProblem {
  /** Null where only words were given. */
  number: number | null;
  words: string;
}

const problem = z.looseObject({
  error: z.string().nullish(),
  description: z.string().nullish(),
  error_number: z.number().nullish(),
  error_code: z.number().nullish(),
});

const withErrors = z.looseObject({ errors: z.array(problem).default([]) });

/** Every error of an answer; a text that is no JSON is one without a number. */
export function problemsOf({ status, body }: RestAnswer): RestProblem[] {
  const read = withErrors.safeParse(body);
  if (!read.success) return [{ number: null, words: typeof body === 'string' ? body.trim() : `status ${status}` }];
  return read.data.errors.map(({ error, description, error_number, error_code }) => ({
    number: error_number ?? error_code ?? null,
    words: [description, error].filter((text) => text).join(': '),
  }));
}

/** The words of all errors in one line, at most 1,000 characters. */
export function wordsOf(answer: RestAnswer): string {
  const words = problemsOf(answer).map((each) => each.words);
  return [...new Set(words)].join('; ').slice(0, 1_000);
}

/** The middle part is upstream's, which clients match on. */
export function restMessage(answer: RestAnswer): string {
  return `Unexpected Slurm API response. status:${answer.status} message:${wordsOf(answer)}`;
}

export function failed(sentence: string, answer: RestAnswer): BrokerError {
  const detail = { status: answer.status, problems: problemsOf(answer) };
  return new BrokerError('SchedulerFailed', `${sentence} ${restMessage(answer)}`, { detail });
}

/** Whether an error of this number is among those of the answer. */
export function hasProblem(answer: RestAnswer, number: number): boolean {
  return problemsOf(answer).some((each) => each.number === number);
}

/** Whether the answer says that there is nothing of what was asked for, which is not a failure. */
export function isNothing(answer: RestAnswer): boolean {
  return [unknownJob, nothingFound].some((number) => hasProblem(answer, number));
}

/** Throws SchedulerFailed with the sentence unless the question was answered, be it with nothing. */
export function requireAnswer(answer: RestAnswer, sentence: string): void {
  if (isNothing(answer)) return;
  if (answer.status !== 200 || problemsOf(answer).length > 0) throw failed(sentence, answer);
}

/** An answer by its schema; SchedulerFailed for one of another form than this version reads. */
export function readAs<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const detail = { problem: z.prettifyError(read.error) };
  throw new BrokerError('SchedulerFailed', 'The answer of the scheduler could not be read.', { detail });
}
