/** Answers paths and methods nobody handles: 404, 405 with Allow, or a redirect to the path with the right trailing slash. */
import type { NotFoundHandler } from 'hono';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ApiConfig } from '../../shared/platform/config/config.ts';
import type { AppEnv } from '../http/app-env.ts';
import { textResponse } from '../http/json-response.ts';
import { linkTo } from '../http/links.ts';
import { problemResponse } from '../http/problem.ts';
import type { Miss } from '../http/route-table.ts';

export function answerMiss(
  findMiss: (path: string) => Miss,
  config: Pick<ApiConfig, 'publicUrl' | 'rootPath'>,
): NotFoundHandler<AppEnv> {
  return (c) => {
    const miss = findMiss(c.req.path);
    if (miss.kind === 'unknown') return problemResponse(c, new BrokerError('NotFound', 'Not Found'));
    if (miss.kind === 'method') {
      return problemResponse(c, new BrokerError('MethodNotAllowed', 'Method Not Allowed'), { allow: miss.allow });
    }
    const queryAt = c.req.url.indexOf('?');
    const query = queryAt === -1 ? '' : c.req.url.slice(queryAt);
    return textResponse(c, 307, null, { location: linkTo(config, `${miss.path}${query}`) });
  };
}
