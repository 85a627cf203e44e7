/** FirecREST v2's liveness: open to everyone, answers while the process serves requests. */
import type { AppContext } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';

/** No health runs are told here: a probe of the cluster must not restart the broker. `lastUpdate` is in seconds. */
export function serveLiveness(c: AppContext): Response {
  return jsonResponse(c, 200, { healthcheckRuns: {}, lastUpdate: 0 });
}
