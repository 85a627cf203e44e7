/**
 * Under what the broker acts for a user who is not there: the consent that a task was accepted with. It is made of the
 * task's own record, so that no work has one without the other: who asked, what is done, from where, until when.
 */
import { z } from 'zod';
import type { Task } from './task.ts';

/** After the end of a consent nothing is begun; for so long what was begun is still stopped, or found out about. */
export const settlingMs = 3_600_000;

/** How long a task lasts at most when it names no deadline, and what a consent may last at all. Milliseconds. */
export interface ConsentLives {
  /** A task of one operation; a chain, which may wait for a job in a long queue; a transfer, which may wait for its client. */
  task: number;
  chain: number;
  transfer: number;
}

/** Of a task that names no deadline. */
const usualLives: ConsentLives = { task: 86_400_000, chain: 7 * 86_400_000, transfer: 86_400_000 };

export type ConsentKind = keyof ConsentLives;

export function consentKindOf({ name }: { name: string }, isChain: boolean): ConsentKind {
  if (isChain) return 'chain';
  return name.startsWith('transfer.') ? 'transfer' : 'task';
}

/** When the consent ends of a task that names no end: the usual life from its beginning, within the longest from now. */
export function usualEndOf(kind: ConsentKind, lives: ConsentLives, now: number, startAt = now): number {
  return Math.min(startAt + usualLives[kind], now + lives[kind]);
}

/** `30 days`, `90 minutes`. */
export function lifeInWords(ms: number): string {
  const [word, unitMs] = ms % 86_400_000 === 0 ? ['days', 86_400_000] : ['minutes', 60_000];
  return `${Math.floor(ms / Number(unitMs))} ${word}`;
}

/** A consent as the API shows it. */
export const consentView = z.object({
  subject: z.string(),
  client: z.string().nullable(),
  username: z.string().describe('The account on the clusters that the work is done as'),
  from: z.string().nullable().describe('Address that the request came from'),
  actions: z.array(z.object({ operation: z.string(), system: z.string().nullable() })),
  givenAt: z.iso.datetime(),
  until: z.iso.datetime().describe('Nothing is begun after that'),
});

type Consented = Pick<Task, 'principal' | 'operation' | 'system' | 'chain' | 'createdAt' | 'deadlineAt' | 'address'>;

export function viewConsent(task: Consented): z.infer<typeof consentView> {
  const { subject, client, username } = task.principal;
  const steps = task.chain === null ? [task] : task.chain.steps;
  return {
    ...{ subject, client, username, from: task.address },
    actions: steps.map(({ operation, system }) => ({ operation, system })),
    givenAt: new Date(task.createdAt).toISOString(),
    until: new Date(task.deadlineAt).toISOString(),
  };
}
