/** Measures requests by operation. What a client sends never becomes a label: methods, groups and operations are of lists. */

import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { Meter } from '../../shared/platform/metrics/meter.ts';
import { operationOfRoute } from '../http/operation-of-route.ts';

export interface AnsweredRequest {
  method: string;
  /** Template of the route; undefined: none matched. */
  route: string | undefined;
  status: number;
  /** Its bytes did not all go out, or come in. */
  isBrokenOff: boolean;
  /** Of an answer that is an error. */
  code: ErrorCode | undefined;
  ms: number;
}

const methods: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']);

/** The operation, or for a route of the broker's own its first step: `tasks`, `webhooks`, `livez` … */
function routeLabel(method: string, route: string | undefined): string {
  if (route === undefined) return 'unmatched';
  return operationOfRoute(method, route) ?? route.split('/', 2)[1] ?? '';
}

export function observeRequest(meter: Meter): (request: AnsweredRequest) => void {
  return ({ method, route, status, isBrokenOff, code, ms }) => {
    const operation = routeLabel(method, route);
    const labels = {
      operation,
      method: methods.has(method) ? method : 'other',
      status: isBrokenOff ? 'broken-off' : `${Math.floor(status / 100)}xx`,
    };
    meter.observe('goldcrest_http_request_duration_seconds', labels, ms / 1_000);
    if (code !== undefined) meter.count('goldcrest_http_errors_total', { code });
  };
}
