/** The parts of the OpenAPI document about watches of jobs. */
import { watchView } from '../../shared/watches/watch.ts';
import { watchSubmission } from '../faces/watches/watches.ts';
import { requestSchema, resultSchema } from './json-schemas.ts';
import {
  accessErrors,
  errorResponses,
  idempotencyHeader,
  type Json,
  jsonContent,
  makingErrors,
  parameter,
} from './parts.ts';

export function watchPaths(): Json {
  const id = parameter('id', 'path', true, { type: 'string' });
  const watch = resultSchema(watchView);
  const ofOne = errorResponses([...accessErrors, 'WatchNotFound']);
  return {
    '/watches': {
      get: {
        operationId: 'list_watches',
        summary: 'Your watched jobs, newest first, at most 1,000',
        tags: ['watches'],
        responses: {
          200: {
            description: 'The watches',
            ...jsonContent({
              type: 'object',
              properties: { watches: { type: 'array', items: watch } },
              required: ['watches'],
            }),
          },
          ...errorResponses(accessErrors),
        },
      },
      post: {
        operationId: 'create_watch',
        summary: 'Watch a job, whoever submitted it, if the scheduler shows it to you',
        tags: ['watches'],
        parameters: [idempotencyHeader],
        requestBody: { required: true, ...jsonContent(requestSchema(watchSubmission)) },
        responses: {
          201: { description: 'The watch; Location names it', ...jsonContent(watch) },
          ...errorResponses([
            ...makingErrors,
            ...(['SystemNotFound', 'JobNotFound', 'ServiceUnhealthy', 'SchedulerFailed', 'NotSupported'] as const),
            ...(['TooManyWatches', 'WebhookNotAllowed', 'WatchNotFound'] as const),
          ]),
        },
      },
    },
    '/watches/{id}': {
      get: {
        operationId: 'get_watch',
        summary: 'A watch, and the diagnosis of its job when it has ended',
        tags: ['watches'],
        parameters: [id],
        responses: { 200: { description: 'The watch', ...jsonContent(watch) }, ...ofOne },
      },
      delete: {
        operationId: 'remove_watch',
        summary: 'Watch a job no more; the job goes on',
        tags: ['watches'],
        parameters: [id],
        responses: { 204: { description: 'It is removed' }, ...ofOne },
      },
    },
  };
}
