/** Metrics without a broker: what is declared, what is written of it, and what the configuration may say. */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { reading, silentMeter } from '../../shared/platform/metrics/meter.ts';
import { describeMetric, type MetricName, metricNames } from '../../shared/platform/metrics/metric-names.ts';
import { openMetrics } from '../../shared/platform/metrics/open-metrics.ts';
import { createMetricRegistry } from '../../shared/platform/metrics/registry.ts';
import type { Settlement, TaskEnd } from '../../shared/platform/task-store.ts';
import { countTransfer } from '../../workers/runtime/count-transfer.ts';
import { parseMetrics, seriesKey } from '../prometheus-text.ts';
import { loadText, refusal, small } from './config-support.ts';

describe('the catalogue of metrics', () => {
  it.each(metricNames)('%s is named as Prometheus names things', (name) => {
    const { kind, help, buckets } = describeMetric(name);
    const isCounted = kind === 'counter' || kind === 'tally';
    expect(name).toMatch(/^goldcrest_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith('_total')).toBe(isCounted);
    if (kind === 'histogram') {
      expect(name).toMatch(/_seconds$/);
      expect([...(buckets ?? [])].sort((a, b) => a - b)).toEqual(buckets);
    }
    expect(help).toMatch(/^[A-Z].*\.$/);
  });

  const rule = z.object({ alert: z.string(), expr: z.string(), annotations: z.object({ summary: z.string() }) });
  const rulesFile = z.object({ groups: z.array(z.object({ rules: z.array(rule) })) });
  const text = readFileSync('deploy/prometheus/alerts.yml', 'utf8');
  const rules = rulesFile.parse(parse(text)).groups.flatMap((group) => group.rules);

  it.each(rules)('the alert $alert asks for metrics and labels that there are', ({ expr }) => {
    const own = [...expr.matchAll(/\b(goldcrest_\w+)(?:\{([^}]*)\})?/g)];
    for (const [, word = '', selector = ''] of own) {
      const base = word.replace(/_(bucket|sum|count)$/, '');
      const name = (metricNames.includes(word as MetricName) ? word : base) as MetricName;
      expect(metricNames).toContain(name);
      expect(describeMetric(name).kind === 'histogram').toBe(word !== name);
      for (const [, label] of selector.matchAll(/(\w+)(?:=~|!=|!~|=)"/g))
        expect(describeMetric(name).labels).toContain(label);
    }
    const ofNode = parseMetrics(registryText);
    for (const [word] of expr.matchAll(/\b(nodejs|process)_\w+/g)) expect([...ofNode.keys()]).toContain(word);
  });

  it('names an alert or a graph for each metric, and the operators are told of every alert', () => {
    const alerts = rules.map(({ alert }) => alert);
    const named = metricNames.flatMap((name) => describeMetric(name).use.split('; '));
    for (const use of named) if (!use.startsWith('graph: ')) expect(alerts).toContain(use);
    const [, section = ''] = readFileSync('docs/operating.md', 'utf8').split('\n## Metrics\n');
    const told = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `(Goldcrest\w+)` \|/gm)].map(([, name]) => name);
    expect(told.sort()).toEqual(alerts.sort());
  });
});

const registry = createMetricRegistry('worker', () => undefined);
const registryText = await registry.scrape();

describe('a scrape', () => {
  it('tells the metrics of its process and no others', () => {
    const told = [...parseMetrics(registryText).keys()].filter((name) => name.startsWith('goldcrest_'));
    expect(told.sort()).toEqual(metricNames.filter((name) => describeMetric(name).of !== 'api').sort());
  });

  it('leaves out what a source does not tell in time or any more, and tells the rest', async () => {
    const failures: unknown[] = [];
    const metrics = createMetricRegistry('api', (error) => failures.push(error));
    const labels = { system: 'daint', service: 'ssh' };
    let isWell = true;
    metrics.read(() => {
      if (!isWell) throw new Error('away');
      return [reading('goldcrest_service_up', labels, 0), reading('goldcrest_redis_memory_used_bytes', {}, 5)];
    });
    metrics.read(() => (isWell ? [] : new Promise(() => undefined)));
    metrics.read(() => [reading('goldcrest_build_info', { version: 'a"b\\c\nd' }, 1)]);
    const valuesOf = async () => {
      const families = parseMetrics(await metrics.scrape());
      const of = (name: string, at = {}) => families.get(name)?.samples.get(seriesKey(name, at));
      const version = { version: 'a\\"b\\\\c\\nd' };
      return [
        of('goldcrest_service_up', labels),
        of('goldcrest_redis_memory_used_bytes'),
        of('goldcrest_build_info', version),
      ];
    };
    expect(await valuesOf()).toEqual([0, 5, 1]);
    isWell = false;
    expect(await valuesOf()).toEqual([undefined, undefined, 1]);
    expect(failures).toEqual([new Error('away'), new Error('no answer within 1500 ms')]);
  });
});

describe('bytes of transfers', () => {
  const systems = new Map(
    (['command', 'stream'] as const).map((mover) => [mover as string, { transfers: { mover } as never }]),
  );
  const settled: Settlement = { outcome: 'settled', promoted: [] };
  const moved = (operation: string, input: unknown, result: unknown, end?: TaskEnd) => {
    const counted: unknown[] = [];
    const meter = { ...silentMeter, count: (...args: unknown[]) => void counted.push(args) };
    const ended = end ?? { state: 'completed', resultJson: JSON.stringify(result) };
    countTransfer(meter, systems, { operation, system: 'stream', input }, ended, settled);
    return counted.map((args) => (args as unknown[]).slice(1));
  };
  const of = (system: string, mover: string, direction: string, bytes: number) => [{ system, mover, direction }, bytes];

  it('count for the mover that moved them, a copy for both of its systems, what failed for nobody', () => {
    const by = (transferMethod: string) => ({ transferDirectives: { transferMethod } });
    expect(moved('transfer.upload', by('s3'), { bytes: 7 })).toEqual([of('stream', 'stream', 'in', 7)]);
    expect(moved('transfer.download', by('wormhole'), { bytes: 7 })).toEqual([of('stream', 'wormhole', 'out', 7)]);
    expect(moved('transfer.download-tree', {}, { bytes: 9 })).toEqual([of('stream', 'command', 'out', 9)]);
    expect(moved('filesystem.download', {}, { sizeBytes: 9, sentBytes: 4 })).toEqual([
      of('stream', 'direct', 'out', 4),
    ]);
    expect(moved('transfer.copy', { targetSystem: 'Command' }, { bytes: 3 })).toEqual([
      of('stream', 'command', 'out', 3),
      of('command', 'command', 'in', 3),
    ]);
    expect(moved('filesystem.ls', {}, { bytes: 3 })).toEqual([]);
    expect(moved('transfer.upload', by('s3'), {}, { state: 'failed', errorJson: '{}' })).toEqual([]);
  });
});

describe('goldcrest.metrics', () => {
  it('is off without a port: nothing is counted, and nothing listens', async () => {
    const { config } = loadText(small);
    expect(config.metrics).toEqual({ host: '127.0.0.1', apiPort: null, workerPort: null });
    const metrics = await openMetrics('api', config.metrics, pino({ level: 'silent' }));
    expect(metrics.meter).toBe(silentMeter);
    const before = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length;
    await metrics.listen();
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap')).toHaveLength(before);
  });

  it.each([
    ['metrics: {host: 0.0.0.0}', 'goldcrest.metrics.host', 'api_port, worker_port or both'],
    ['metrics: {api_port: 8000}', 'goldcrest.metrics.api_port', 'goldcrest.api.port'],
    [
      'metrics: {host: "::", worker_port: 9000}\n  worker: {http_port: 9000}',
      'worker_port',
      'goldcrest.worker.http_port',
    ],
    ['metrics: {api_port: 70000}', 'goldcrest.metrics.api_port', '65535'],
    ['metrics: {port: 9464}', 'goldcrest.metrics.port', 'unknown key'],
  ])('%s is refused, and what to do is said', (wrong, key, words) => {
    const { message } = refusal(() => loadText(`${small}  ${wrong}\n`));
    expect(message).toContain(key);
    expect(message).toContain(words);
  });
});
