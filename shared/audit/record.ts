/** What the audit trail says of one thing that was asked or done: who, from where, what, on what, whether, why, with what end. */
import { z } from 'zod';
import { type Principal, principalKey } from '../tasks/task.ts';

/**
 * `trail`: a process begins or ends its chain. `request`: something was asked to be changed, or was refused.
 * `command-start`: a command that may change something is about to be sent. `command`: a command has ended. A request to slurmrestd counts as one.
 * `task`: an attempt of a task that may change something has ended, or was taken over.
 */
export const auditKinds = ['trail', 'request', 'command-start', 'command', 'task'] as const;

const actor = z.object({
  issuer: z.string(),
  subject: z.string(),
  username: z.string(),
  client: z.string().nullable(),
});

/** One record as it is kept, but for its hash. */
export const auditRecord = z.object({
  writer: z.string().describe('The process that wrote it; each has a chain of its own'),
  seq: z.int().describe('Its place in the chain, from 1'),
  prev: z.string().describe('Hash of the record before it'),
  time: z.iso.datetime(),
  kind: z.enum(auditKinds),
  actor: actor.nullable().describe('Who asked; null: the service itself, or somebody who is not known'),
  address: z.string().nullable().describe('Where the request came from'),
  action: z.string().describe('Name of the operation, or method and route'),
  target: z.record(z.string(), z.string()).describe('What it was about: paths, ids'),
  system: z.string().nullable(),
  decision: z
    .string()
    .describe(
      'allowed, denied, refused, or unknown (Redis did not say whether it is kept); of what was done: begun, answered (before its end), completed, failed …',
    ),
  why: z
    .string()
    .nullable()
    .describe('What allowed it, the code and message of the error, or that it ran in a shell that was started ahead'),
  status: z.int().nullable().describe('HTTP status of the answer, of us or of slurmrestd, where that was known'),
  as: z.string().nullable().describe('Cluster user that a command ran as'),
  argv: z
    .array(z.string())
    .nullable()
    .describe('The command, without values that may be secret; of a request to slurmrestd: method and path'),
  exitCode: z.int().nullable().describe('Null where a signal or a lost connection ended the command'),
  start: z.int().nullable().describe('`seq` of the record of the command’s start'),
  task: z.string().nullable(),
  request: z.string().nullable().describe('X-Request-ID of the request that asked'),
  trace: z.string().nullable().describe('Trace id of the request (W3C Trace Context)'),
});

export type AuditRecord = z.infer<typeof auditRecord>;

/** What a writer tells; the rest is null, or the chain's. */
export type AuditFacts = Pick<AuditRecord, 'kind' | 'action' | 'decision'> &
  Partial<Omit<AuditRecord, 'writer' | 'seq' | 'prev' | 'time'>>;

/** Longest text of one value; what is longer is cut, and says so. */
const textCharsMax = 1_024;

function cut(text: string): string {
  return text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax)}… (${text.length} characters)`;
}

/** The record's own members, in their order. Texts are cut at 1,024 characters. */
export function recordOf(facts: AuditFacts, chain: Pick<AuditRecord, 'writer' | 'seq' | 'prev' | 'time'>): AuditRecord {
  const { writer, seq, prev, time } = chain;
  const { kind, action, decision, target = {}, why } = facts;
  const cutTarget: Record<string, string> = {};
  for (const name of Object.keys(target)) cutTarget[name] = cut(target[name] ?? '');
  // Member by member: spread, it takes five times as long, and a request waits for it.
  return {
    writer,
    seq,
    prev,
    time,
    kind,
    action: cut(action),
    decision,
    actor: facts.actor ?? null,
    address: facts.address ?? null,
    target: cutTarget,
    system: facts.system ?? null,
    why: why == null ? null : cut(why),
    status: facts.status ?? null,
    as: facts.as ?? null,
    argv: facts.argv ?? null,
    exitCode: facts.exitCode ?? null,
    start: facts.start ?? null,
    task: facts.task ?? null,
    request: facts.request ?? null,
    trace: facts.trace ?? null,
  };
}

/** Whose list shows the record; empty: only that of administrators. */
export function ownerOfRecord({ actor: who }: AuditFacts): string {
  return who == null ? '' : principalKey(who);
}

/** As a record names who asked. */
export function actorOf({ issuer, subject, username, client }: Principal): AuditRecord['actor'] {
  return { issuer, subject, username, client };
}
