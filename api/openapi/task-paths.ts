/** The native face in the OpenAPI document. */
import { type ErrorCode, errorCodes } from '../../shared/errors/catalogue.ts';
import { listQuery, taskListView } from '../faces/tasks/list-tasks.ts';
import { limitsView } from '../faces/tasks/read-limits.ts';
import { transferDirections } from '../faces/tasks/sign-transfer.ts';
import { taskSubmission } from '../faces/tasks/submission.ts';
import { batchSubmission, batchView } from '../faces/tasks/submit-batch.ts';
import { requestSchema, resultSchema } from './json-schemas.ts';
import {
  acceptedTask,
  accessErrors,
  bodyErrors,
  commonErrors,
  errorResponses,
  idempotencyHeader,
  type Json,
  jsonContent,
  makingErrors,
  mutationErrors,
  parameter,
  preferHeader,
  taskMinimal,
  taskRef,
} from './parts.ts';

export function taskPaths(): Json {
  const id = parameter('id', 'path', true, { type: 'string', format: 'uuid' });
  const task = { description: 'The task', ...jsonContent({ anyOf: [taskRef, taskMinimal] }) };
  const codes: readonly ErrorCode[] = [...accessErrors, 'TaskNotFound', 'TaskExpired'];
  const errors = errorResponses(codes);
  const inQuery = Object.entries(listQuery.shape).map(([name, field]) =>
    parameter(name, 'query', false, requestSchema(field)),
  );
  return {
    '/tasks': {
      get: {
        operationId: 'list_tasks',
        summary: 'Your tasks, newest first',
        tags: ['tasks'],
        parameters: inQuery,
        responses: {
          200: { description: 'A page; Link names the next', ...jsonContent(resultSchema(taskListView)) },
          ...errorResponses([...accessErrors, 'InvalidRequest']),
        },
      },
      post: {
        operationId: 'submit_task',
        summary: 'Submit any operation as a task',
        tags: ['tasks'],
        parameters: [preferHeader, idempotencyHeader],
        requestBody: { required: true, ...jsonContent(requestSchema(taskSubmission)) },
        responses: {
          202: acceptedTask,
          ...errorResponses([...makingErrors, 'SystemNotFound']),
        },
      },
    },
    '/limits': {
      get: {
        operationId: 'get_limits',
        summary: 'What you may do, and how much of it is left',
        tags: ['tasks'],
        responses: {
          200: { description: 'The limits', ...jsonContent(resultSchema(limitsView)) },
          ...errorResponses(accessErrors),
        },
      },
    },
    '/tasks/batch': {
      post: {
        operationId: 'submit_batch',
        summary: 'Submit up to 1,000 operations as tasks, each accepted or refused for itself',
        tags: ['tasks'],
        parameters: [idempotencyHeader],
        requestBody: { required: true, ...jsonContent(requestSchema(batchSubmission)) },
        responses: {
          200: { description: 'What became of each', ...jsonContent(resultSchema(batchView)) },
          ...errorResponses([...accessErrors, 'InvalidRequest', 'Internal', ...bodyErrors, ...mutationErrors]),
        },
      },
    },
    '/tasks/{id}/result': {
      get: {
        operationId: 'get_task_result',
        summary: 'The result of a task alone',
        tags: ['tasks'],
        description: 'A task that failed is answered with its error.',
        parameters: [id, preferHeader],
        responses: {
          200: { description: 'The result', ...jsonContent({}) },
          ...errorResponses([...new Set([...errorCodes, ...codes])]),
        },
      },
    },
    '/tasks/{id}': {
      get: {
        operationId: 'get_task',
        summary: 'The task as it stands',
        tags: ['tasks'],
        parameters: [id, preferHeader],
        responses: { 200: task, 304: { description: 'As the If-None-Match header has it' }, ...errors },
      },
      delete: {
        operationId: 'cancel_task',
        summary: 'Cancel a task',
        tags: ['tasks'],
        parameters: [id, preferHeader],
        responses: { 200: task, 202: acceptedTask, ...errors },
      },
    },
    '/tasks/{id}/retry': {
      post: {
        operationId: 'retry_task',
        summary: 'Repeat a task that failed or was canceled; a chain from the step that did not end well',
        tags: ['tasks'],
        parameters: [id, preferHeader, idempotencyHeader],
        responses: {
          202: acceptedTask,
          ...errorResponses([
            ...new Set([
              ...commonErrors,
              ...codes,
              'SystemNotFound',
              'TaskConflict',
              'NotSupported',
              ...mutationErrors,
            ] as const),
          ]),
        },
      },
    },
    '/tasks/{id}/transfer': {
      post: {
        operationId: 'hurry_transfer',
        summary: 'Say that an upload is complete in the staging store, which is then looked at at once',
        tags: ['tasks'],
        parameters: [id, preferHeader, idempotencyHeader],
        responses: {
          202: acceptedTask,
          ...errors,
          ...errorResponses([
            'InvalidRequest',
            'TaskConflict',
            'IdempotencyMismatch',
            'IdempotencyRunning',
            'TaskExpired',
          ]),
        },
      },
      get: {
        operationId: 'sign_transfer',
        summary:
          'What its client does next: addresses in the staging store, signed now, or the way straight to the cluster',
        tags: ['tasks'],
        parameters: [
          id,
          parameter('step', 'query', false, {
            type: 'string',
            description: 'Of a chain: the name of the step; the present one if not given',
          }),
          parameter('first', 'query', false, {
            type: 'integer',
            description: 'Number of the first part; 1 if not given',
          }),
          parameter('count', 'query', false, {
            type: 'integer',
            description: 'Parts; 100 if not given, 1,000 at most',
          }),
        ],
        responses: {
          200: {
            description: 'By `transferMethod`, as the system has it',
            ...jsonContent(resultSchema(transferDirections)),
          },
          ...errors,
          ...errorResponses(['InvalidRequest', 'TaskConflict', 'NotSupported']),
        },
      },
    },
  };
}
