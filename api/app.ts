/** The HTTP application: middleware and the two faces over the operation registry. Creating it does no I/O. */
import { Hono, type MiddlewareHandler } from 'hono';
import { findOperation, operationNames } from '../shared/operations/registry.ts';
import { silentMeter } from '../shared/platform/metrics/meter.ts';
import { createProofTarget } from './auth/proof-target.ts';
import { describeProtectedResource } from './auth/protected-resource.ts';
import { schemesOf } from './auth/token-binding.ts';
import { exportAudit, listAudit } from './faces/audit/read-audit.ts';
import { createTicket } from './faces/events/create-ticket.ts';
import { streamEvents, streamTaskEvents } from './faces/events/stream-events.ts';
import { serveLiveness } from './faces/firecrest/liveness.ts';
import { serveDownload } from './faces/firecrest/serve-download.ts';
import { serveLog } from './faces/firecrest/serve-log.ts';
import { serveOperation } from './faces/firecrest/serve-operation.ts';
import { serveUpload } from './faces/firecrest/serve-upload.ts';
import { getHealth, listHealth } from './faces/health/read-health.ts';
import { hurryTransfer } from './faces/tasks/hurry-transfer.ts';
import { listTasks } from './faces/tasks/list-tasks.ts';
import { readLimits } from './faces/tasks/read-limits.ts';
import { cancelTask, getResult, getTask } from './faces/tasks/read-task.ts';
import { retryTask } from './faces/tasks/retry-task.ts';
import { signTransfer } from './faces/tasks/sign-transfer.ts';
import { submitBatch } from './faces/tasks/submit-batch.ts';
import { submitTask } from './faces/tasks/submit-task.ts';
import { createWatch, getWatch, listWatches, removeWatch } from './faces/watches/watches.ts';
import { listDeliveries, redeliverOne, redeliverSince, testEndpoint } from './faces/webhooks/deliveries.ts';
import {
  changeEndpoint,
  createEndpoint,
  getEndpoint,
  listEndpoints,
  removeEndpoint,
  rotateKey,
} from './faces/webhooks/endpoints.ts';
import type { AppContext, AppDeps, AppEnv } from './http/app-env.ts';
import { createClientAddress } from './http/client-address.ts';
import { serveLivez, serveReadyz } from './http/health.ts';
import { createRoutePath } from './http/route-path.ts';
import { coveredByChance, createRouteTable, type Route } from './http/route-table.ts';
import { accessLog } from './middleware/access-log.ts';
import { answerError } from './middleware/answer-error.ts';
import { answerMiss } from './middleware/answer-miss.ts';
import { audit } from './middleware/audit.ts';
import { authenticate } from './middleware/authenticate.ts';
import { authenticateByTicket } from './middleware/authenticate-by-ticket.ts';
import { allowOrigins } from './middleware/cross-origin.ts';
import { observeRequest } from './middleware/observe-request.ts';
import { responseHeaders } from './middleware/response-headers.ts';
import { serveAsyncApi } from './openapi/asyncapi.ts';
import { serveDocs } from './openapi/docs-page.ts';
import { serveOpenApi } from './openapi/document.ts';

interface Endpoint extends Route {
  isPublic: boolean;
  /** Whether a ticket in the address may stand in for the token. */
  takesTicket?: boolean;
  handle: (c: AppContext) => Response | Promise<Response>;
}

function webhookEndpoints(deps: AppDeps): Endpoint[] {
  const one = '/webhooks/{id}';
  const isPublic = false;
  return [
    { method: 'POST', path: '/webhooks', isPublic, handle: createEndpoint(deps) },
    { method: 'GET', path: '/webhooks', isPublic, handle: listEndpoints(deps) },
    { method: 'GET', path: one, isPublic, handle: getEndpoint(deps) },
    { method: 'PATCH', path: one, isPublic, handle: changeEndpoint(deps) },
    { method: 'DELETE', path: one, isPublic, handle: removeEndpoint(deps) },
    { method: 'POST', path: `${one}/rotate`, isPublic, handle: rotateKey(deps) },
    { method: 'POST', path: `${one}/test`, isPublic, handle: testEndpoint(deps) },
    { method: 'GET', path: `${one}/deliveries`, isPublic, handle: listDeliveries(deps) },
    { method: 'POST', path: `${one}/deliveries/{delivery_id}/redeliver`, isPublic, handle: redeliverOne(deps) },
    { method: 'POST', path: `${one}/redeliver`, isPublic, handle: redeliverSince(deps) },
  ];
}

/** All endpoints. A later face adds its own to the list. */
function endpointsOf(deps: AppDeps & { now: () => number }): Endpoint[] {
  const systems = new Map(deps.config.systems.map((system) => [system.name, system]));
  const faceDeps = { ...deps, systems };
  const firecrest = operationNames.flatMap((name): Endpoint[] => {
    const operation = findOperation(name);
    if (operation === undefined) return [];
    const { method, path } = operation.firecrest;
    if (operation.streams === 'log') {
      // A browser's EventSource sends no token.
      return [{ method, path, isPublic: false, takesTicket: true, handle: serveLog(faceDeps, operation) }];
    }
    const serve = { in: serveUpload, out: serveDownload, none: serveOperation }[operation.bytes ?? 'none'];
    return [{ method, path, isPublic: false, handle: serve(faceDeps, operation) }];
  });
  return [
    ...firecrest,
    { method: 'GET', path: '/limits', isPublic: false, handle: readLimits(deps) },
    { method: 'GET', path: '/tasks', isPublic: false, handle: listTasks(deps) },
    { method: 'POST', path: '/tasks', isPublic: false, handle: submitTask(faceDeps) },
    { method: 'POST', path: '/tasks/batch', isPublic: false, handle: submitBatch(faceDeps) },
    { method: 'GET', path: '/tasks/{id}/result', isPublic: false, handle: getResult(deps) },
    { method: 'GET', path: '/tasks/{id}', isPublic: false, handle: getTask(deps) },
    { method: 'DELETE', path: '/tasks/{id}', isPublic: false, handle: cancelTask(deps) },
    { method: 'POST', path: '/tasks/{id}/retry', isPublic: false, handle: retryTask(faceDeps) },
    { method: 'GET', path: '/tasks/{id}/transfer', isPublic: false, handle: signTransfer(faceDeps) },
    { method: 'POST', path: '/tasks/{id}/transfer', isPublic: false, handle: hurryTransfer(deps) },
    { method: 'GET', path: '/events', isPublic: false, takesTicket: true, handle: streamEvents(deps) },
    { method: 'GET', path: '/tasks/{id}/events', isPublic: false, takesTicket: true, handle: streamTaskEvents(deps) },
    {
      method: 'POST',
      path: '/events/tickets',
      isPublic: false,
      handle: createTicket(deps.notices.tickets, deps.answers),
    },
    ...webhookEndpoints(deps),
    { method: 'GET', path: '/audit', isPublic: false, handle: listAudit(deps) },
    { method: 'GET', path: '/audit/export', isPublic: false, handle: exportAudit(deps) },
    { method: 'POST', path: '/watches', isPublic: false, handle: createWatch(faceDeps) },
    { method: 'GET', path: '/watches', isPublic: false, handle: listWatches(deps) },
    { method: 'GET', path: '/watches/{id}', isPublic: false, handle: getWatch(deps) },
    { method: 'DELETE', path: '/watches/{id}', isPublic: false, handle: removeWatch(deps) },
    { method: 'GET', path: '/health/systems', isPublic: false, handle: listHealth(faceDeps) },
    { method: 'GET', path: '/health/systems/{system_name}', isPublic: false, handle: getHealth(faceDeps) },
    { method: 'GET', path: '/status/liveness/', isPublic: true, handle: serveLiveness },
    { method: 'GET', path: '/livez', isPublic: true, handle: serveLivez },
    { method: 'GET', path: '/readyz', isPublic: true, handle: serveReadyz(deps.readiness) },
    { method: 'GET', path: '/openapi.json', isPublic: true, handle: serveOpenApi(deps.config) },
    { method: 'GET', path: '/asyncapi.json', isPublic: true, handle: serveAsyncApi(deps.config) },
    { method: 'GET', path: '/docs', isPublic: true, handle: serveDocs(deps.config) },
  ];
}

/** Hono routes HEAD to GET handlers; here it is a method like any other that nobody handles, as in FirecREST v2. */
const refuseHead: MiddlewareHandler<AppEnv> = (c, next) =>
  c.req.method === 'HEAD' ? Promise.resolve(c.notFound()) : next();

/** Hono's way to write a template. */
function patternOf(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function markRoute(template: string): MiddlewareHandler<AppEnv> {
  return (c, next) => {
    c.set('route', template);
    return next();
  };
}

/** The application; tests call `app.request()` on it. */
export function createApp(deps: AppDeps): Hono<AppEnv> {
  const now = deps.now ?? Date.now;
  const { api } = deps.config;
  const endpoints = endpointsOf({ ...deps, now });
  const resource = describeProtectedResource(deps.config);
  if (resource !== undefined) {
    endpoints.push({ method: 'GET', path: resource.path, isPublic: true, handle: resource.serve });
  }
  const templates = endpoints.map((endpoint) => endpoint.path);
  const app = new Hono<AppEnv>({ getPath: createRoutePath(templates, api.rootPath) });

  const isHttps = api.publicUrl?.startsWith('https:') === true;
  app.use(accessLog(deps.log, observeRequest(deps.meter ?? silentMeter)), responseHeaders({ now, isHttps }));
  if (api.corsOrigins.length > 0) app.use(allowOrigins(api.corsOrigins));
  app.use(audit(deps.audit.trail));
  app.use(refuseHead);
  app.onError(answerError(deps.log));
  app.notFound(answerMiss(createRouteTable(endpoints), api));

  const mustAuthenticate = authenticate(deps.verifyToken, {
    schemes: schemesOf(deps.config.authentication.issuers),
    metadataUrl: resource?.metadataUrl,
    addressOf: createClientAddress(api.trustedProxies),
    targetOf: api.publicUrl === null ? () => null : createProofTarget(api.publicUrl, api.rootPath),
  });
  for (const { method, path } of coveredByChance(endpoints)) app.on(method, patternOf(path), (c) => c.notFound());
  const mayHaveTicket = authenticateByTicket(deps.notices.tickets, mustAuthenticate);
  for (const { method, path, isPublic, takesTicket, handle } of endpoints) {
    const pattern = patternOf(path);
    if (isPublic) app.on(method, pattern, markRoute(path), handle);
    else app.on(method, pattern, markRoute(path), takesTicket ? mayHaveTicket : mustAuthenticate, handle);
  }
  return app;
}
