/** Fetches the metrics of a process of a broker, as Prometheus does. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Daemon } from '../../lab/daemon.ts';
import { parseMetrics, seriesKey } from '../prometheus-text.ts';

/** For the `goldcrest` section of a broker that is to be scraped. */
export const scraped = { metrics: { api_port: 0, worker_port: 0 } };

/** Where a process says that it can be scraped; the last, where it was started again. */
export function addressOf({ logFile }: Daemon): string {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  const line = lines.findLast((each) => each.includes('"metrics can be scraped"')) ?? '{}';
  return `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}/metrics`;
}

export async function textOf(daemon: Daemon | undefined): Promise<string> {
  const response = await fetch(addressOf(daemon as Daemon));
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  return response.text();
}

export interface Scrape {
  /** Undefined: there is no such series. */
  value(name: string, labels?: Record<string, string>): number | undefined;
}

export async function scrape(daemon: Daemon | undefined): Promise<Scrape> {
  const families = parseMetrics(await textOf(daemon));
  return {
    value(name, labels) {
      const family = families.get(name) ?? families.get(name.replace(/_(count|sum)$/, ''));
      return family?.samples.get(seriesKey(name, labels));
    },
  };
}
