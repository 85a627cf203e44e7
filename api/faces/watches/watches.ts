/** /watches: the watched jobs of the caller, set, shown, removed. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { watchJob, watchUntil } from '../../../shared/operations/compute/watch-job.ts';
import { jobId } from '../../../shared/operations/fields.ts';
import { isWatchId, viewWatch, type Watch, watchIdOf, type watchView } from '../../../shared/watches/watch.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { linkTo } from '../../http/links.ts';
import { acceptRequestOf, findSystem, replayHeaders, type SystemsByName } from '../accept-task.ts';
import { answerHoldTimeout, isHoldOver, throwFailure } from '../firecrest/answer-outcome.ts';
import { namedWebhook, sealWebhook } from '../named-webhook.ts';
import { ownerOf } from '../webhooks/endpoints.ts';
import { readBody } from '../webhooks/read-body.ts';

type Handle = (c: AppContext) => Promise<Response>;
type Deps = Pick<AppDeps, 'watches'>;

/** The body of POST /watches. */
export const watchSubmission = z.object({
  system: z.string('must be the name of a system').max(255),
  jobId,
  until: watchUntil.optional(),
  webhook: namedWebhook.optional().describe('To be told of this job'),
});

/** Watches in one answer. */
const listedMax = 1_000;

async function findWatch(c: AppContext, { watches }: Deps, id: string): Promise<Watch> {
  const found = isWatchId(id) ? await watches.find(ownerOf(c), id) : null;
  if (found === null) throw new BrokerError('WatchNotFound', 'Watch not found.');
  return found;
}

/** 201 with the watch. InvalidRequest, SystemNotFound, Forbidden, JobNotFound, TooManyWatches, WebhookNotAllowed. */
export function createWatch(
  deps: Deps &
    Pick<AppDeps, 'config' | 'gate' | 'checkAccess' | 'requireHealthy' | 'webhooks'> & { systems: SystemsByName },
): Handle {
  const { config, gate } = deps;
  return async (c) => {
    const wish = await readBody(c, watchSubmission);
    c.set('wish', { action: watchJob.name, system: wish.system, target: { jobId: wish.jobId } });
    const system = findSystem(deps.systems, wish.system);
    const principal = c.get('principal');
    await deps.checkAccess(principal, watchJob.relation, system.name, c.get('address'));
    const input = { jobId: wish.jobId, until: wish.until ?? null };
    deps.requireHealthy(watchJob, system, input);
    const webhook = wish.webhook === undefined ? {} : { webhook: sealWebhook(deps.webhooks, principal, wish.webhook) };
    const { holdMs } = config.api;
    const task = { operation: watchJob, system: system.name, input, isHeld: true, holdMs, ...webhook };
    const request = acceptRequestOf(c, task);
    const outcome = await gate.acceptAndWait(request, c.req.raw.signal);
    c.set('taskId', outcome.id);
    c.set('replyHeaders', replayHeaders(request, outcome.isReplay));
    if (isHoldOver(watchJob, outcome)) return answerHoldTimeout(c, config, watchJob, outcome.id);
    throwFailure(outcome);
    const view: z.infer<typeof watchView> = viewWatch(await findWatch(c, deps, watchIdOf(outcome.id)));
    const headers = { ...c.get('replyHeaders'), location: linkTo(config.api, `/watches/${view.id}`) };
    return jsonResponse(c, 201, view, headers);
  };
}

export function listWatches({ watches }: Deps): Handle {
  return async (c) => {
    const found = await watches.list(ownerOf(c), listedMax);
    return jsonResponse(c, 200, { watches: found.map(viewWatch) });
  };
}

export function getWatch(deps: Deps): Handle {
  return async (c) => jsonResponse(c, 200, viewWatch(await findWatch(c, deps, c.req.param('id') ?? '')));
}

/** 204. The job goes on. */
export function removeWatch(deps: Deps): Handle {
  return async (c) => {
    const { id } = await findWatch(c, deps, c.req.param('id') ?? '');
    await deps.watches.remove(ownerOf(c), id);
    return jsonResponse(c, 204, null);
  };
}
