/** An address that one request names, to be told of the end of its task, and of the job that it watches: in the body of the native face, by headers on any other route. */
import { z } from 'zod';
import { type Principal, principalKey } from '../../shared/tasks/task.ts';
import { isSecret } from '../../shared/webhooks/signing.ts';
import { admitTarget, urlCharsMax } from '../../shared/webhooks/target-rules.ts';
import type { AppContext, WebhookDeps } from '../http/app-env.ts';
import { invalidField } from '../http/invalid-request.ts';
import { sealerOf } from './webhooks/endpoints.ts';

export const webhookHeader = 'Goldcrest-Webhook';
export const webhookSecretHeader = 'Goldcrest-Webhook-Secret';

/** What a secret must be. */
const secretRule = 'must be whsec_ and base64 of 24 to 64 bytes';

/** An address in a body. */
export const namedWebhook = z.object({
  url: z.string('must be an address').max(urlCharsMax),
  secret: z.string('must be a text').refine(isSecret, secretRule).describe('To sign with; see Standard Webhooks'),
});

/** The address with its secret sealed for tasks of this caller, as JSON. WebhookNotAllowed, NotSupported. */
export function sealWebhook(
  webhooks: WebhookDeps,
  principal: Principal,
  named: { url: string; secret: string },
): string {
  const sealer = sealerOf(webhooks);
  admitTarget(named.url, webhooks.targets);
  const sealed = sealer.seal(named.secret, `task ${principalKey(principal)}`);
  return JSON.stringify({ url: named.url, sealed });
}

/** What the headers name; empty where there are none. InvalidRequest, WebhookNotAllowed, NotSupported. */
export function webhookOfHeaders(c: AppContext, webhooks: WebhookDeps): { webhook?: string } {
  const url = c.req.header(webhookHeader)?.trim();
  const secret = c.req.header(webhookSecretHeader)?.trim();
  if (url === undefined && secret === undefined) return {};
  if (url === undefined) throw invalidField('header', webhookHeader, `is required with ${webhookSecretHeader}`);
  if (url.length > urlCharsMax)
    throw invalidField('header', webhookHeader, `must be at most ${urlCharsMax} characters long`);
  if (secret === undefined || !isSecret(secret)) throw invalidField('header', webhookSecretHeader, secretRule);
  return { webhook: sealWebhook(webhooks, c.get('principal'), { url, secret }) };
}
