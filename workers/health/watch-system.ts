/** Probes the services of one system, each at its own pace, and writes down what is known, for as long as it is led. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type ServiceHealth, type SystemHealth, serviceKey } from '../../shared/health/system-health.ts';
import type { HealthStore } from '../../shared/platform/health-store.ts';
import { type ConcurrencyGate, createGate } from '../runtime/concurrency-gate.ts';
import type { Probe } from './probe.ts';
import { advance, initialState, type StateRules, type TargetState } from './target-state.ts';
import type { Target } from './targets.ts';
import type { Verdict } from './verdict.ts';

export interface WatchOptions {
  system: string;
  targets: readonly Target[];
  probe: Probe;
  /** Bounds the probes of all systems together. */
  gate: ConcurrencyGate;
  rules: StateRules;
  store: HealthStore;
  worker: string;
  signal: AbortSignal;
  log: Logger;
}

/** File systems of one system that are probed at once: those that hang must not hold up the probes of other systems. */
const fileSystemsAtOnceMax = 4;
/** A record outlives its latest probe by so many intervals. */
const keptIntervals = 3;
const keptMsMin = 60_000;

/** What is known of one service. */
interface Known {
  state: TargetState;
  last: { at: number; latencyMs: number; message: string | null } | null;
  /** Why it could not be asked as the service account; null: it could. */
  exception: SystemHealth['exception'];
}

/** Ends when `signal` aborts, or when the lease turned out to be another worker's. */
export async function watchSystem(options: WatchOptions): Promise<void> {
  const { system, targets, store, rules } = options;
  const before = (await store.read([system])).get(system)?.health ?? null;
  const known = new Map<Target, Known>();
  for (const target of targets) {
    const earlier = before?.services.find((entry) => serviceKey(entry) === serviceKey(target));
    const state = initialState(earlier, Date.now(), rules);
    const last = earlier ? { at: earlier.checkedAt, latencyMs: earlier.latencyMs, message: earlier.message } : null;
    known.set(target, { state, last, exception: null });
  }
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  const fileSystemGate = createGate(fileSystemsAtOnceMax);
  const watching = targets.map(async (target) => {
    const gate: ConcurrencyGate =
      target.service === 'filesystem' ? (work) => fileSystemGate(() => options.gate(work)) : options.gate;
    // Where one ends, because the lease is lost or its write failed, all end.
    await watchTarget({ ...options, signal }, target, known, gate).finally(() => ended.abort());
  });
  const failed = (await Promise.allSettled(watching)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

async function watchTarget(
  options: WatchOptions,
  target: Target,
  known: Map<Target, Known>,
  gate: ConcurrencyGate,
): Promise<void> {
  const { signal, rules } = options;
  while (!signal.aborted) {
    const { verdict, latencyMs } = await gate(() => timed(options.probe, target, signal));
    if (signal.aborted) return;
    const now = Date.now();
    const before = known.get(target);
    if (before === undefined) return;
    const { state, nextInMs } = advance(before.state, verdict, now, rules);
    tellChange(options.log, target, before, state, verdict);
    known.set(target, after(before, state, verdict, { at: now, latencyMs }));
    if (!(await write(options, known, target, verdict, { at: now, latencyMs }))) return;
    const variedMs = nextInMs * (0.75 + Math.random() / 2);
    await sleep(variedMs, undefined, { signal }).catch(() => undefined);
  }
}

async function timed(probe: Probe, target: Target, signal: AbortSignal) {
  if (signal.aborted) return { verdict: { outcome: 'unknown', because: 'login', message: '' } as const, latencyMs: 0 };
  const startedAt = performance.now();
  const verdict = await probe(target);
  return { verdict, latencyMs: Math.round(performance.now() - startedAt) };
}

function after(before: Known, state: TargetState, verdict: Verdict, probe: { at: number; latencyMs: number }): Known {
  if (verdict.outcome !== 'unknown') {
    return { state, last: { ...probe, message: verdict.message }, exception: null };
  }
  const exception = verdict.because === 'account' ? { at: probe.at, message: verdict.message } : null;
  return { ...before, state, exception };
}

/** False: the lease is another worker's. A probe that learnt nothing is no part of the history. */
async function write(
  { system, store, worker, rules }: WatchOptions,
  known: ReadonlyMap<Target, Known>,
  target: Target,
  verdict: Verdict,
  probe: { at: number; latencyMs: number },
): Promise<boolean> {
  const keepMs = Math.max(keptIntervals * rules.intervalMs, keptMsMin);
  const record = { ...probe, isHealthy: verdict.outcome === 'up', message: verdict.message };
  const entry = verdict.outcome === 'unknown' ? null : { serviceKey: serviceKey(target), probe: record };
  return store.write(system, worker, healthOf(known), keepMs, entry);
}

function healthOf(known: ReadonlyMap<Target, Known>): SystemHealth {
  const services: ServiceHealth[] = [];
  let exception: SystemHealth['exception'] = null;
  for (const [{ service, path }, { state, last, exception: own }] of known) {
    exception ??= own;
    if (state.isHealthy === null || last === null) continue;
    const { at: checkedAt, latencyMs, message } = last;
    services.push({ service, path, isHealthy: state.isHealthy, since: state.since, checkedAt, latencyMs, message });
  }
  return { services, exception };
}

/** What a service went on saying is not said again. */
function tellChange(log: Logger, target: Target, known: Known, after: TargetState, verdict: Verdict): void {
  const before = known.state;
  const isNews = verdict.message !== (known.exception ?? known.last)?.message;
  const facts = { service: target.service, path: target.path, message: verdict.message };
  if (after.isHealthy === false && before.isHealthy !== false) log.warn(facts, 'a service is broken');
  else if (after.isHealthy && before.isHealthy === false) log.info(facts, 'a service is well again');
  else if (verdict.outcome !== 'up' && isNews) log.info(facts, 'a probe did not succeed');
}
