/** The OpenAPI 3.1 document, derived from the operation registry and the schemas of the native face. */
import { z } from 'zod';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { hasBody, type Operation } from '../../shared/operations/operation.ts';
import { findOperation, type OperationName, operationNames } from '../../shared/operations/registry.ts';
import { taskView } from '../../shared/tasks/task.ts';
import { schemesOf } from '../auth/token-binding.ts';
import { systemHealthView, systemsHealthView } from '../faces/health/health-views.ts';
import { historyQuery } from '../faces/health/read-health.ts';
import type { AppConfig, AppContext } from '../http/app-env.ts';
import { textResponse } from '../http/json-response.ts';
import { auditPaths } from './audit-paths.ts';
import { eventComponents } from './event-schemas.ts';
import { introduction, tags } from './introduction.ts';
import { answerSchema, bodySchema, isOptional, requestSchema, resultSchema } from './json-schemas.ts';
import { eventPaths, webhookMessages, webhookPaths } from './notice-paths.ts';
import {
  acceptedTask,
  accessErrors,
  bodyErrors,
  commonErrors,
  errorResponses,
  idempotencyHeader,
  type Json,
  jsonContent,
  mutationErrors,
  parameter,
  preferHeader,
  webhookErrors,
  webhookHeaders,
} from './parts.ts';
import { problemSchema } from './problem-schema.ts';
import { taskPaths } from './task-paths.ts';
import { watchPaths } from './watch-paths.ts';

/** Upstream's function names where they are not `<method>_<last word of the operation>`; part of its operation ids. */
const upstreamFunctions: { [name in OperationName]?: string } = {
  'compute.submit-job': 'post_job_submit',
  'compute.get-job': 'get_job',
  'compute.cancel-job': 'delete_job_cancel',
  'compute.list-jobs': 'get_jobs',
  'compute.job-metadata': 'get_job_metadata',
  'compute.attach': 'attach',
  'transfer.cp': 'post_cp',
  'transfer.compress': 'compress',
  'transfer.download': 'post_download',
  'transfer.extract': 'extract',
  'transfer.mv': 'move_mv',
  'transfer.rm': 'delete_rm',
  'transfer.upload': 'post_upload',
  'status.nodes': 'get_system_nodes',
  'status.partitions': 'get_system_partitions',
  'status.reservations': 'get_system_reservations',
};

/** Errors of any operation that runs on a system. */
const systemErrors: readonly ErrorCode[] = [
  'SystemNotFound',
  'ServiceUnhealthy',
  'CommandTimeout',
  'OutputTooLarge',
  'NotSupported',
];

/** FastAPI's rule: function name, path and method, every other character an underscore. */
function operationId(operation: Operation): string {
  const { method, path } = operation.firecrest;
  const verb = operation.name.split('.').at(-1)?.replaceAll('-', '_') ?? '';
  const name = upstreamFunctions[operation.name as OperationName] ?? `${method.toLowerCase()}_${verb}`;
  return `${`${name}${path}`.replaceAll(/\W/g, '_')}_${method.toLowerCase()}`;
}

function parametersOf(operation: Operation): Json[] {
  const { method, path, params = {}, headers = {} } = operation.firecrest;
  const shape = operation.input.shape as Record<string, z.core.$ZodType>;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => {
    const field = shape[params[name] ?? ''];
    return parameter(name, 'path', true, field === undefined ? { type: 'string' } : requestSchema(field));
  });
  const inHeader = Object.entries(headers).map(([name, field]) =>
    parameter(name, 'header', false, requestSchema(shape[field] ?? z.string())),
  );
  if (operation.bytes === undefined) {
    inHeader.push(preferHeader, ...webhookHeaders);
  }
  if (operation.mutates || method === 'POST') inHeader.push(idempotencyHeader);
  const isQuery = method === 'GET' || method === 'DELETE' || operation.bytes !== undefined;
  if (!isQuery) return [...inPath, ...inHeader];
  const elsewhere = [
    ...Object.values(params),
    ...Object.values(headers),
    ...(operation.bytes === 'in' ? ['fileName'] : []),
  ];
  const inQuery = Object.entries(shape)
    .filter(([name]) => !elsewhere.includes(name))
    .map(([name, field]) => parameter(name, 'query', !isOptional(field), requestSchema(field)));
  return [...inPath, ...inQuery, ...inHeader];
}

const fileBytes = { content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } };

/** An event by the fields of its format; its data is JSON with `offset`, and `text` or `base64`. */
const logText = {
  content: {
    'text/plain': { schema: { type: 'string' } },
    'text/event-stream': {
      schema: {
        type: 'object',
        properties: { id: { type: 'string' }, event: { type: 'string' }, data: { type: 'string' } },
      },
    },
  },
};

function answerContent(operation: Operation): Json {
  if (operation.streams === 'log') return logText;
  if (operation.bytes === 'out') return fileBytes;
  return operation.firecrest.status === 204 ? {} : jsonContent(answerSchema(operation));
}

function bodyContent(operation: Operation): Json {
  if (operation.bytes === undefined) return jsonContent(bodySchema(operation));
  const file = { type: 'string', format: 'binary', description: 'With the name of the file' };
  return {
    content: { 'multipart/form-data': { schema: { type: 'object', properties: { file }, required: ['file'] } } },
  };
}

function pathItem(operation: Operation): Json {
  const { method, status, isAddition } = operation.firecrest;
  const isInBody = hasBody(operation) || operation.bytes === 'in';
  const errors = [
    ...commonErrors,
    ...(operation.scope === 'system' ? systemErrors : []),
    ...(isInBody ? bodyErrors : []),
    ...(operation.mutates || method === 'POST' ? mutationErrors : []),
    ...(operation.bytes === 'in' ? (['IdempotencyRunning'] as const) : []),
    ...(operation.bytes === undefined ? webhookErrors : []),
    ...operation.errors,
  ];
  return {
    operationId: operationId(operation),
    summary: operation.summary,
    tags: [operation.firecrest.path.split('/')[1]],
    ...(isAddition ? { description: 'Not a route of FirecREST v2.' } : {}),
    parameters: parametersOf(operation),
    ...(isInBody ? { requestBody: { required: true, ...bodyContent(operation) } } : {}),
    responses: {
      [status]: { description: operation.summary, ...answerContent(operation) },
      ...(operation.bytes === undefined ? { 202: acceptedTask } : {}),
      ...(operation.bytes === 'out' && operation.streams === undefined
        ? { 206: { description: 'The range that was asked for', ...fileBytes } }
        : {}),
      ...errorResponses([...new Set(errors)]),
    },
  };
}

function healthPaths(): Json {
  const name = parameter('system_name', 'path', true, { type: 'string' });
  const history = parameter('history', 'query', false, requestSchema(historyQuery));
  return {
    '/health/systems': {
      get: {
        operationId: 'get_systems_health',
        summary: 'What the probes of every system found last',
        tags: ['health'],
        responses: {
          200: { description: 'The systems', ...jsonContent(resultSchema(systemsHealthView)) },
          ...errorResponses(accessErrors),
        },
      },
    },
    '/health/systems/{system_name}': {
      get: {
        operationId: 'get_system_health',
        summary: 'What the probes of a system found in the last 24 hours',
        tags: ['health'],
        parameters: [name, history],
        responses: {
          200: { description: 'The system', ...jsonContent(resultSchema(systemHealthView)) },
          ...errorResponses([...accessErrors, 'InvalidRequest', 'SystemNotFound']),
        },
      },
    },
  };
}

function securitySchemes(config: AppConfig): Json {
  const issuer = config.authentication.issuers.find(({ tokenUrl }) => tokenUrl !== null);
  const schemes = schemesOf(config.authentication.issuers);
  const bearer = {
    ...(schemes.includes('Bearer') ? { HTTPBearer: { type: 'http', scheme: 'bearer' } } : {}),
    ...(schemes.includes('DPoP') ? { HTTPDPoP: { type: 'http', scheme: 'dpop', description: 'RFC 9449' } } : {}),
  };
  if (issuer === undefined) return bearer;
  const clientCredentials = { tokenUrl: issuer.tokenUrl, scopes: issuer.scopes };
  return { APIAuthDependency: { type: 'oauth2', flows: { clientCredentials } }, ...bearer };
}

function operationPaths(): Json {
  const paths: Record<string, Json> = {};
  for (const name of operationNames) {
    const operation = findOperation(name);
    if (operation === undefined) continue;
    const { path, method } = operation.firecrest;
    paths[path] = { ...paths[path], [method.toLowerCase()]: pathItem(operation) };
  }
  return paths;
}

/** The document. Pure; the same for the life of a process. */
export function openApiDocument(config: AppConfig): Json {
  const schemes = securitySchemes(config);
  const address = config.api.publicUrl ?? (config.api.rootPath === '' ? '/' : config.api.rootPath);
  const isPublic = { security: [], tags: ['status'] };
  const liveness = { ...isPublic, operationId: 'get_liveness_status_liveness__get', summary: 'Liveness' };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Goldcrest',
      version: config.version,
      description: introduction,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags,
    servers: config.api.docServers ?? [{ url: address }],
    paths: {
      ...operationPaths(),
      '/status/liveness/': { get: { ...liveness, responses: { 200: { description: 'Alive', ...jsonContent({}) } } } },
      ...taskPaths(),
      ...healthPaths(),
      ...eventPaths(),
      ...webhookPaths(),
      ...auditPaths(),
      ...watchPaths(),
    },
    webhooks: webhookMessages(),
    components: {
      schemas: {
        Problem: problemSchema,
        Task: resultSchema(taskView),
        ...eventComponents(),
      },
      securitySchemes: schemes,
    },
    security: Object.keys(schemes).map((name) => ({ [name]: [] })),
  };
}

/** Made on the first request and kept. */
export function serveOpenApi(config: AppConfig): (c: AppContext) => Response {
  let text: string | undefined;
  return (c) => {
    text ??= JSON.stringify(openApiDocument(config));
    return textResponse(c, 200, text, { 'content-type': 'application/json' });
  };
}
