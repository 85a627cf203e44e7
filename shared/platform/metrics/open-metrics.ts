/**
 * A process's metrics, and the listener on which Prometheus fetches them: its own port, so that no token is needed there and
 * nothing of the API is shadowed. Without a port in the configuration nothing is counted, and prom-client is not even loaded.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { MetricsConfig } from '../config/metrics.ts';
import { exitConfig } from '../start.ts';
import { version } from '../version.ts';
import { type Meter, type ReadAtScrape, reading, silentMeter } from './meter.ts';
import type { MetricRegistry } from './registry.ts';

export interface Metrics {
  meter: Meter;
  /** Adds what is read at each scrape. */
  read(source: ReadAtScrape): void;
  /** Resolves when scrapes are answered. Ends the process where the port cannot be bound. */
  listen(): Promise<void>;
  close(): Promise<void>;
}

const silent: Metrics = {
  meter: silentMeter,
  read: () => undefined,
  listen: async () => undefined,
  close: async () => undefined,
};

export async function openMetrics(kind: 'api' | 'worker', config: MetricsConfig, log: Logger): Promise<Metrics> {
  const port = kind === 'api' ? config.apiPort : config.workerPort;
  if (port === null) return silent;
  const { createMetricRegistry } = await import('./registry.ts');
  const registry = createMetricRegistry(kind, (error) =>
    log.debug({ err: error }, 'a scrape is answered without all metrics'),
  );
  registry.read(() => [reading('goldcrest_build_info', { version }, 1)]);
  const server = createMetricServer(registry, log);
  return {
    meter: registry.meter,
    read: registry.read,
    async listen() {
      try {
        await listenOn(server, port, config.host);
      } catch (error) {
        const key = `goldcrest.metrics.${kind}_port`;
        log.fatal({ err: error }, `${key}: port ${port} of ${config.host} cannot be had. ${portAdvice(kind)}`);
        process.exit(exitConfig);
      }
      const { address, port: bound } = server.address() as AddressInfo;
      log.info({ host: address, port: bound }, 'metrics can be scraped');
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portAdvice(kind: 'api' | 'worker'): string {
  const variable = `GOLDCREST_METRICS__${kind.toUpperCase()}_PORT`;
  return `Each process of a machine needs one of its own: give it by ${variable}, or take 0, and the log tells which it got.`;
}

function createMetricServer(registry: MetricRegistry, log: Logger): Server {
  return createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path !== '/metrics') response.writeHead(404).end();
    else if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end();
    else {
      registry.scrape().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        (error: unknown) => {
          log.error({ err: error }, 'a scrape failed');
          response.writeHead(500).end();
        },
      );
    }
  });
}

function listenOn(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
