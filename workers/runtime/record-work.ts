/** The worker's part of the audit trail: every command that runs on a cluster, and the end of each attempt that may change something. */
import { auditedWords } from '../../shared/audit/command-words.ts';
import { type AuditFacts, actorOf } from '../../shared/audit/record.ts';
import type { AuditTrail } from '../../shared/audit/trail.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import type { Task } from '../../shared/tasks/task.ts';
import type { ObserveCommand } from '../ssh/observe-command.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';

type Trail = Pick<AuditTrail, 'append' | 'requireWritable'>;

/** The attempt that a command belongs to. */
interface Origin {
  task: Task;
  isMutation: boolean;
}

/** The shell, whose commands are recorded as those of the task. */
export function onBehalfOf(shell: RemoteShell, task: Task, { mutates }: Operation): RemoteShell {
  const origin: Origin = { task, isMutation: mutates };
  return { run: (argv, options) => shell.run(argv, { ...options, origin }) };
}

function factsOf(task: Task): Partial<AuditFacts> {
  return { actor: actorOf(task.principal), system: task.system, task: task.id, request: task.requestId };
}

/** Throws StoreUnavailable where no record can be written: then no command is run. */
export function recordCommands(trail: Trail): ObserveCommand {
  return ({ system, username, argv, origin, isLasting }) => {
    trail.requireWritable();
    const behind = origin as Origin | undefined;
    const facts = {
      ...(behind === undefined ? {} : factsOf(behind.task)),
      // A task may act on a second system.
      system,
      action: behind?.task.operation ?? 'broker',
      as: username,
      argv: auditedWords(argv),
    };
    // What may change something is written down before it is sent: a worker that is killed meanwhile leaves that.
    const isBegun = behind?.isMutation === true || isLasting === true;
    const start = isBegun ? trail.append({ ...facts, kind: 'command-start', decision: 'begun' }) : null;
    return ({ exitCode, isEarly, error }) => {
      const decision = isEarly ? 'answered' : exitCode === 0 ? 'completed' : 'failed';
      trail.append({ ...facts, kind: 'command', decision, why: error ?? null, exitCode, start });
    };
  };
}

/** Records how an attempt ended, or that it was taken over from a worker that was lost. Reads are left out. */
export function recordAttempt(
  trail: Trail,
  { task, operation }: { task: Task; operation: Pick<Operation, 'mutates'> | undefined },
  { decision, why = null }: { decision: string; why?: string | null },
): void {
  if (operation?.mutates === false) return;
  trail.append({ kind: 'task', action: task.operation, decision, why, ...factsOf(task) });
}
