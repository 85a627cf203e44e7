/**
 * POST /tasks/{id}/transfer: a client says that its upload is complete, so that the broker need not find it out. The store's
 * word counts: it is looked at now.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { answerOnce } from '../../http/answer-once.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { readPreferences } from '../../http/prefer.ts';
import { acceptedHeaders, viewTaskAs } from '../task-accepted.ts';
import { readTaskId } from './read-task.ts';
import { uploads } from './sign-transfer.ts';

type Deps = Pick<AppDeps, 'answers' | 'config' | 'gate' | 'checkAccess'>;

/** 202 with the task as it stands. TaskNotFound, InvalidRequest for a task that awaits no upload, TaskConflict for one that has ended. */
export function hurryTransfer({ answers, config, gate, checkAccess }: Deps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const preferences = readPreferences(c.req.header('prefer'));
    const principal = c.get('principal');
    const found = await gate.get(readTaskId(c), principal);
    await checkAccess(principal, 'transfer', found.system, c.get('address'));
    if (!uploads.has(found.operation))
      throw new BrokerError('InvalidRequest', 'The task awaits no upload of a client.');
    return await answerOnce(c, answers, null, async () => {
      const task = await gate.hurry(found.id, principal);
      const headers = acceptedHeaders(config, task, { ...preferences, isAsync: false });
      return { status: 202, body: viewTaskAs(task, preferences.return), headers };
    });
  };
}
