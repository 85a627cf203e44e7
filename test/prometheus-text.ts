/**
 * Reads Prometheus' text format, version 0.0.4, and nothing that is not quite that: each family has HELP and TYPE before its
 * samples, each series stands once, and histograms add up. Throws where it does not.
 */

export interface Family {
  type: string;
  help: string;
  /** `name{label="value",…}`, labels in their order of names → value. */
  samples: Map<string, number>;
}

const nameOf = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (!nameOf.test(name) || families.has(name)) throw new Error(`twice, or no name: ${line}`);
      families.set(name, { type: '', help: rest, samples: new Map() });
    } else if (keyword === 'TYPE') {
      const family = families.get(name);
      if (family?.type !== '' || !['counter', 'gauge', 'histogram', 'summary'].includes(rest)) throw new Error(line);
      family.type = rest;
    } else addSample(families, line);
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family);
  return families;
}

function addSample(families: ReadonlyMap<string, Family>, line: string): void {
  const [, name = '', labels = '', text = ''] = sampleLine.exec(line) ?? [];
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  const isNumber = /^[+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf|NaN)$/i.test(text);
  if (family === undefined || family.type === '' || !isNumber) throw new Error(`not a sample: ${line}`);
  const key = seriesKey(name, readLabels(labels));
  if (family.samples.has(key)) throw new Error(`twice: ${key}`);
  family.samples.set(key, Number(text.replace(/Inf$/i, 'Infinity')));
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  labelPair.lastIndex = 0;
  while (labelPair.lastIndex < text.length) {
    const at = labelPair.lastIndex;
    const [, label, value] = labelPair.exec(text) ?? [];
    if (label === undefined || value === undefined || label in labels) throw new Error(`labels: ${text.slice(at)}`);
    labels[label] = value;
  }
  return labels;
}

/** The name of a series, whatever the order in which its labels are given. */
export function seriesKey(name: string, labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${pairs.map(([label, value]) => `${label}="${value}"`).join(',')}}`;
}

/** Buckets grow, and the last holds all that were counted. */
function checkHistogram(name: string, { samples }: Family): void {
  const bySeries = new Map<string, { le: number; count: number }[]>();
  for (const [key, count] of samples) {
    const [, le] = /le="([^"]+)"/.exec(key) ?? [];
    if (!key.startsWith(`${name}_bucket`) || le === undefined) continue;
    const series = key
      .replace(/,?le="[^"]+"/, '')
      .replace('{,', '{')
      .replace(`${name}_bucket`, `${name}_count`);
    const buckets = bySeries.get(series) ?? [];
    bySeries.set(series, [...buckets, { le: Number(le.replace('Inf', 'Infinity')), count }]);
  }
  for (const [series, buckets] of bySeries) {
    buckets.sort((a, b) => a.le - b.le);
    const isGrowing = buckets.every(({ count }, at) => count >= (buckets[at - 1]?.count ?? 0));
    const last = buckets.at(-1);
    if (!isGrowing || last?.le !== Number.POSITIVE_INFINITY || last.count !== samples.get(series)) {
      throw new Error(`buckets of ${series} do not add up`);
    }
  }
}
