/** The section `goldcrest.metrics` as the code uses it; what would serve nothing, or cannot be bound, is refused. */
import type { MetricsConfig } from './metrics.ts';
import type { Questions } from './questions.ts';
import type { FileSettings } from './schema-file.ts';

const hostDefault = '127.0.0.1';
const wildcards: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

export function buildMetrics({ goldcrest }: FileSettings, questions: Questions): MetricsConfig {
  const { metrics, api, worker } = goldcrest;
  const { host = hostDefault, api_port: apiPort = null, worker_port: workerPort = null } = metrics;
  if (metrics.host !== undefined && apiPort === null && workerPort === null) {
    questions.refuse(
      ['goldcrest', 'metrics', 'host'],
      'is of no use without a port: give api_port, worker_port or both',
    );
  }
  const isTaken = (port: number | null, other: { host: string; port: number }): boolean =>
    port !== null &&
    port !== 0 &&
    port === other.port &&
    (host === other.host || wildcards.has(host) || wildcards.has(other.host));
  if (isTaken(apiPort, api)) {
    const message = `${apiPort} is the port of the API itself (goldcrest.api.port): metrics need one of their own`;
    questions.refuse(['goldcrest', 'metrics', 'api_port'], message);
  }
  if (isTaken(workerPort, { host: worker.http_host, port: worker.http_port })) {
    const message = `${workerPort} is the worker's internal port (goldcrest.worker.http_port): metrics need one of their own`;
    questions.refuse(['goldcrest', 'metrics', 'worker_port'], message);
  }
  return { host, apiPort, workerPort };
}
