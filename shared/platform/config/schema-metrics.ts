/** The section `goldcrest.metrics`. */
import { port, section, text } from './schema-fields.ts';

export const metrics = section({
  host: text()
    .optional()
    .describe(
      'Address that `/metrics` binds; 127.0.0.1 if not given. Nobody is asked for a token there: let Prometheus alone reach it.',
    ),
  api_port: port(0)
    .optional()
    .describe('Its port in the API; 0: any free one, told by the log. Not given: the API has no metrics.'),
  worker_port: port(0)
    .optional()
    .describe(
      'Its port in a worker, as above. Each process of a machine needs its own: `GOLDCREST_METRICS__WORKER_PORT`.',
    ),
});
