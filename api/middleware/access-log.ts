/** One log line for each request. It names the route's template, never the query or a header: both may hold secrets. */
import type { MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import type { AppEnv } from '../http/app-env.ts';

export function accessLog(log: Logger): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const startedMs = performance.now();
    await next();
    const line = {
      method: c.req.method,
      route: c.get('route') ?? 'unmatched',
      status: c.get('relayed')?.status ?? c.res.status,
      brokenOffBy: c.get('relayed')?.brokenOffBy,
      ms: Math.round((performance.now() - startedMs) * 100) / 100,
      user: c.get('principal')?.username,
      taskId: c.get('taskId'),
      requestId: c.get('requestId'),
    };
    // After the answer is on its way: the line is a system call that the client would wait for.
    setImmediate(() => log.info(line, 'request'));
  };
}
