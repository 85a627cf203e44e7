/** The names of the metrics, and what each kind takes. */
import { metricCatalogue } from './catalogue.ts';
import type { MetricSpec } from './metric-spec.ts';

type Catalogue = typeof metricCatalogue;
export type MetricName = keyof Catalogue;
export const metricNames = Object.keys(metricCatalogue) as MetricName[];

type NamesOf<Kind extends MetricSpec['kind']> = {
  [Name in MetricName]: Catalogue[Name]['kind'] extends Kind ? Name : never;
}[MetricName];
export type CounterName = NamesOf<'counter'>;
export type HistogramName = NamesOf<'histogram'>;
export type ReadName = NamesOf<'gauge' | 'tally'>;

/** A value for each label of a metric. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<Catalogue[Name]['labels'][number], string>>;

export function describeMetric(name: MetricName): MetricSpec {
  return metricCatalogue[name];
}

type LabelName = { [Name in MetricName]: Catalogue[Name]['labels'][number] }[MetricName];

/** Which values a label has, and so how many: no one comes from a request. */
export const labelValues: Readonly<Record<LabelName, string>> = {
  code: 'a code of the error catalogue',
  direction: '`in` (to the cluster) or `out`',
  fault: '`caller`, `cluster`, `broker`; empty for an end that is no failure',
  lane: '`interactive`, `batch`, `transfer`, `move`',
  method: 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS, or `other`',
  mover:
    '`command`, `job` or `stream` as the system is configured, `streamer`, `wormhole`, or `direct` for bytes in the request itself',
  operation:
    'a name of the operation registry, or `chain` for a task of several; of a request for anything else the first step of its route (`tasks`, `webhooks`, `livez` …), or `unmatched`',
  outcome: '`delivered`, `to-retry`, `given-up`',
  place: '`file` or `redis`',
  purpose: '`answer` (for what a client waits for) or `persist`',
  query: 'a question that schedulers are asked: `submit`, `get`, `lookUp`, `list` …',
  service: '`ssh`, `scheduler`, `filesystem`, `s3`, `wormhole`',
  state: 'as the metric says',
  status: '`2xx` to `5xx`, or `broken-off` for an answer of bytes that did not come to its end',
  system: 'a configured system; empty for work on none',
  version: 'that of the process',
};
