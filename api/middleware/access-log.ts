/** One log line for each request. It names the route's template, never the query or a header: both may hold secrets. */
import type { MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import type { AppEnv } from '../http/app-env.ts';
import type { AnsweredRequest } from './observe-request.ts';

/** `observe` is told of each request too, and must not throw. */
export function accessLog(log: Logger, observe: (request: AnsweredRequest) => void): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const startedMs = performance.now();
    await next();
    const ms = performance.now() - startedMs;
    const { method } = c.req;
    const route = c.get('route');
    const relayed = c.get('relayed');
    const status = relayed?.status ?? c.res.status;
    const brokenOffBy = relayed?.brokenOffBy;
    const code = c.get('problem');
    const line = {
      method,
      route: route ?? 'unmatched',
      status,
      brokenOffBy,
      ms: Math.round(ms * 100) / 100,
      user: c.get('principal')?.username,
      taskId: c.get('taskId'),
      requestId: c.get('requestId'),
    };
    // After the answer is on its way: the line is a system call that the client would wait for.
    setImmediate(() => {
      log.info(line, 'request');
      observe({ method, route, status, isBrokenOff: brokenOffBy !== undefined, code, ms });
    });
  };
}
