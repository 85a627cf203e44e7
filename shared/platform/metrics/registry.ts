/** The metrics of one process in prom-client's registry, and their text as Prometheus reads it. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Meter, ReadAtScrape, Reading } from './meter.ts';
import { describeMetric, type MetricName, metricNames } from './metric-names.ts';

/** A source that has not answered by then is left out: Prometheus itself waits 10 s, and an operator does not like to. */
const sourceMsMax = 1_500;

export interface MetricRegistry {
  meter: Meter;
  /** Adds what is read at each scrape. */
  read(source: ReadAtScrape): void;
  /** One scrape; those that come meanwhile share it. Never rejects for a source that does. */
  scrape(): Promise<string>;
  contentType: string;
}

export function createMetricRegistry(kind: 'api' | 'worker', onSourceFailed: (error: unknown) => void): MetricRegistry {
  const registry = new Registry();
  const counters = new Map<MetricName, Counter>();
  const histograms = new Map<MetricName, Histogram>();
  const gauges = new Map<MetricName, Gauge>();
  const tallies = new Map<MetricName, Counter>();
  for (const name of metricNames) {
    const { kind: sort, of, help, labels, buckets = [] } = describeMetric(name);
    if (of !== 'both' && of !== kind) continue;
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    if (sort === 'counter') counters.set(name, new Counter(options));
    else if (sort === 'tally') tallies.set(name, new Counter(options));
    else if (sort === 'gauge') gauges.set(name, new Gauge(options));
    else histograms.set(name, new Histogram({ ...options, buckets: [...buckets] }));
  }
  collectDefaultMetrics({ register: registry });

  const sources: ReadAtScrape[] = [];
  const write = (readings: readonly Reading[]): void => {
    for (const tally of tallies.values()) tally.reset();
    for (const gauge of gauges.values()) {
      gauge.reset();
      gauge.remove({}); // one without labels is left at 0 otherwise, which would be a reading
    }
    for (const { name, labels, value } of readings) {
      gauges.get(name)?.set({ ...labels }, value);
      tallies.get(name)?.inc({ ...labels }, value);
    }
  };
  const scrape = async (): Promise<string> => {
    const found = await Promise.allSettled(sources.map((source) => inTime(source)));
    write(found.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : [])));
    for (const outcome of found) if (outcome.status === 'rejected') onSourceFailed(outcome.reason);
    return registry.metrics();
  };
  let underWay: Promise<string> | undefined;

  return {
    meter: {
      // prom-client throws for what is no number, and who counts must not fail for it.
      count(name, labels, by = 1) {
        if (by >= 0 && by < Number.POSITIVE_INFINITY) counters.get(name)?.inc(labels, by);
      },
      observe(name, labels, seconds) {
        if (Number.isFinite(seconds)) histograms.get(name)?.observe(labels, Math.max(0, seconds));
      },
    },
    read: (source) => void sources.push(source),
    scrape() {
      underWay ??= scrape().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    contentType: registry.contentType,
  };
}

async function inTime(source: ReadAtScrape): Promise<readonly Reading[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${sourceMsMax} ms`)), sourceMsMax);
  });
  try {
    return await Promise.race([Promise.resolve().then(source), late]);
  } finally {
    clearTimeout(timer);
  }
}
