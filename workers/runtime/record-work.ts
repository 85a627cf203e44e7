/** The worker's part of the audit trail: every command that runs on a cluster, every request to slurmrestd, and the end of each attempt that may change something. */
import { auditedWords } from '../../shared/audit/command-words.ts';
import { type AuditFacts, actorOf } from '../../shared/audit/record.ts';
import { targetOf } from '../../shared/audit/target.ts';
import type { AuditTrail } from '../../shared/audit/trail.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { Task } from '../../shared/tasks/task.ts';
import { traceIdIn } from '../../shared/tasks/trace-context.ts';
import type { ObserveCall } from '../schedulers/slurm-rest/observe-calls.ts';
import type { ObserveCommand } from '../ssh/observe-command.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';

type Trail = Pick<AuditTrail, 'append' | 'requireWritable'>;

/** The attempt that a command belongs to. */
interface Origin {
  facts: Partial<AuditFacts>;
  isMutation: boolean;
}

/** The shell, whose commands are recorded as those of the task. */
export function onBehalfOf(shell: RemoteShell, origin: Origin): RemoteShell {
  return { run: (argv, options) => shell.run(argv, { ...options, origin }) };
}

/** What a command, or a request to a scheduler, of the task is recorded with. */
export function originOf(task: Task, operation: Operation): Origin {
  return { facts: factsOf(task, operation), isMutation: operation.mutates };
}

/** Who asked, from where, for what, as the record of the request has it. */
function factsOf(task: Task, operation: Operation | undefined): Partial<AuditFacts> & Pick<AuditFacts, 'action'> {
  const { principal, address, system, id, requestId, traceparent } = task;
  return {
    ...{ action: task.operation, actor: actorOf(principal), address, system },
    target: operation === undefined ? {} : targetOf(operation, task.input as Record<string, unknown>),
    ...{ task: id, request: requestId, trace: traceIdIn(traceparent) },
  };
}

interface Deed {
  system: string;
  username: string;
  argv: string[];
  behind: Origin | undefined;
  /** It may change something: it is written down before it is sent, so that a worker that is killed meanwhile leaves that. */
  isBegun: boolean;
}

/** Throws StoreUnavailable where no record can be written: then the deed is not to be done. What it returns records the end. */
function recordDeed(trail: Trail, { system, username, argv, behind, isBegun }: Deed) {
  trail.requireWritable();
  const facts = {
    action: 'broker',
    ...behind?.facts,
    // A task may act on a second system.
    ...{ system, as: username, argv },
  };
  const start = isBegun ? trail.append({ ...facts, kind: 'command-start', decision: 'begun' }) : null;
  return (end: Pick<AuditFacts, 'decision'> & Partial<AuditFacts>): void => {
    trail.append({ ...facts, kind: 'command', start, ...end });
  };
}

/** Of a command that began no session on its host; that of the shell has a record. */
const inLoop = 'ran in a shell that was started ahead';

/** Throws StoreUnavailable where no record can be written: then no command is run. */
export function recordCommands(trail: Trail): ObserveCommand {
  return ({ system, username, argv, origin, isLasting }) => {
    const behind = origin as Origin | undefined;
    const isBegun = behind?.isMutation === true || isLasting === true;
    const ended = recordDeed(trail, { system, username, argv: auditedWords(argv), behind, isBegun });
    return ({ exitCode, isEarly, isInLoop, error }) => {
      const decision = isEarly ? 'answered' : exitCode === 0 ? 'completed' : 'failed';
      const why = [error, isInLoop ? inLoop : undefined].filter((text) => text !== undefined);
      ended({ decision, why: why.length === 0 ? null : why.join('; '), exitCode });
    };
  };
}

/** A request to slurmrestd leaves the record of a command: its method and path for argv, the status of the answer for an exit code. */
export function recordCalls(trail: Trail, system: string): ObserveCall {
  return ({ method, path, username, origin }) => {
    const behind = origin as Origin | undefined;
    const argv = auditedWords([method, path]);
    const ended = recordDeed(trail, { system, username, argv, behind, isBegun: method !== 'GET' });
    return ({ status, error }) => {
      ended({ decision: status !== null && status < 400 ? 'completed' : 'failed', why: error ?? null, status });
    };
  };
}

interface AttemptEnd {
  decision: string;
  why?: string | null;
}

/** What will record how an attempt ends, with what is known of it before: the end waits for its record. Reads are left out. */
export function attemptRecorder(
  trail: Trail,
  { task, operation }: { task: Task; operation: Operation | undefined },
): (end: AttemptEnd) => void {
  if (operation?.mutates === false) return () => undefined;
  const facts = factsOf(task, operation);
  return ({ decision, why = null }) => {
    trail.append({ kind: 'task', decision, why, ...facts });
  };
}

/** Records how an attempt ended, or that it was taken over from a worker that was lost. Reads are left out. */
export function recordAttempt(
  trail: Trail,
  of: { task: Task; operation: Operation | undefined },
  end: AttemptEnd,
): void {
  attemptRecorder(trail, of)(end);
}
