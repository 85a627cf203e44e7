/** POST /tasks: one operation as a task. */
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { readJsonBody } from '../../http/json-body.ts';
import { readPreferences } from '../../http/prefer.ts';
import { acceptRequestOf, callerOf, replayHeaders } from '../accept-task.ts';
import { acceptedResponse } from '../task-accepted.ts';
import { type AdmitDeps, admitSubmission, wishIn } from './submission.ts';

/** 202 with the task. InvalidRequest, SystemNotFound, Forbidden and what the gate throws. */
export function submitTask(deps: AdmitDeps & Pick<AppDeps, 'config' | 'gate'>): (c: AppContext) => Promise<Response> {
  const { config } = deps;
  return async (c) => {
    const bytesMax = config.api.bodyBytesMax;
    const body = await readJsonBody(c, { bytesMax, wrongTypeCode: 'UnsupportedMediaType' });
    c.set('wish', wishIn(body));
    const request = acceptRequestOf(c, await admitSubmission(deps, callerOf(c), body));
    const { id, isReplay } = await deps.gate.accept(request);
    c.set('taskId', id);
    const task = await deps.gate.get(id, request.principal);
    return acceptedResponse(c, config, task, readPreferences(c.req.header('prefer')), replayHeaders(request, isReplay));
  };
}
