/** Grants as the operator writes them, checked before OpenFGA sees them: its own refusals name tuples, not arguments. */
import { posix } from 'node:path';
import ipaddr from 'ipaddr.js';
import {
  type Limits,
  limitsName,
  networksMax,
  type PathLimits,
  type Preset,
  pathLimitsMax,
  pathLimitsName,
  pathRelations,
  presets,
  systemRelations,
} from '../shared/authorization/authorization-model.ts';

/** The arguments were wrong; the message says which and what to write. */
export class UsageError extends Error {}

export interface GrantKey {
  user: string;
  relation: string;
  object: string;
}

export interface Grant extends GrantKey {
  condition?: { name: string; context: Limits | PathLimits };
}

const dayMs = 24 * 3_600_000;
const forEver = '9999-12-31T23:59:59Z';

const relationsOf: Readonly<Record<string, readonly string[]>> = {
  system: [...systemRelations, ...Object.keys(presets)],
  group: ['member'],
  project: ['member'],
  broker: ['administer'],
  task: ['viewer'],
  webhook: ['viewer'],
};

/** `type:name` of one of the types. Throws UsageError. */
function entityOf(text: string, types: readonly string[], what: string): { type: string; name: string } {
  const at = text.indexOf(':');
  const [type, name] = [text.slice(0, at), text.slice(at + 1)];
  if (at > 0 && types.includes(type) && /^[^\s:#*]{1,200}$/.test(name)) return { type, name };
  throw new UsageError(`${what} ${text}: write ${types.map((known) => `${known}:NAME`).join(' or ')}`);
}

/** As OpenFGA names it; a group stands for its members. Throws UsageError. */
export function subjectOf(text: string): string {
  const { type, name } = entityOf(text, ['user', 'service_client', 'group', 'project'], 'SUBJECT');
  if (type === 'service_client') return `${type}:${encodeURIComponent(name)}`;
  return type === 'user' ? `${type}:${name}` : `${type}:${name}#member`;
}

/** Names of systems are lower-case. Throws UsageError. */
export function objectOf(text: string): string {
  const { type, name } = entityOf(text, Object.keys(relationsOf), 'OBJECT');
  return type === 'system' ? `${type}:${name.toLowerCase()}` : `${type}:${name}`;
}

const presetPrefix = 'preset_';

/** The three words of a grant; `--client`, `--preset` and `--system` say the same for a program. Throws UsageError. */
export function wordsOf(
  words: readonly string[],
  { client, preset, system }: { client?: string | undefined; preset?: string | undefined; system?: string | undefined },
): readonly string[] {
  if (client === undefined && preset === undefined && system === undefined) return words;
  if (client === undefined || preset === undefined || system === undefined || words.length > 0) {
    throw new UsageError('write SUBJECT RELATION OBJECT, or --client, --preset and --system');
  }
  const known = Object.keys(presets).map((name) => name.slice(presetPrefix.length));
  if (!known.includes(preset)) throw new UsageError(`--preset ${preset}: write ${known.join(', ')}`);
  return [`service_client:${client}`, `${presetPrefix}${preset}`, `system:${system}`];
}

/** Throws UsageError. */
export function grantKeyOf(words: readonly string[]): GrantKey {
  const [subject, relation, target] = words;
  if (subject === undefined || relation === undefined || target === undefined || words.length > 3) {
    throw new UsageError('write SUBJECT RELATION OBJECT');
  }
  const [user, object] = [subjectOf(subject), objectOf(target)];
  const known = relationsOf[object.slice(0, object.indexOf(':'))] ?? [];
  if (!known.includes(relation)) throw new UsageError(`RELATION ${relation}: on ${object} write ${known.join(', ')}`);
  return { user, relation, object };
}

/** The grant with its limits, which a program's must have. Throws UsageError. */
export function grantOf(
  words: readonly string[],
  options: { until?: string | undefined; from?: string | undefined; path?: string | undefined },
  nowMs: number,
): Grant {
  const key = grantKeyOf(words);
  const untilMs = options.until === undefined ? null : timeOf(options.until, nowMs);
  const networks = options.from === undefined ? [] : networksOf(options.from);
  if (key.user.startsWith('service_client:')) requireLimits(key.relation, untilMs, networks, nowMs);
  const prefixes = options.path === undefined ? [] : prefixesOf(options.path, key.relation, networks);
  if (untilMs === null && networks.length === 0 && prefixes.length === 0) return key;
  if (!key.object.startsWith('system:')) throw new UsageError('--until, --from, --path: only for grants on a system');
  const until = untilMs === null ? forEver : new Date(untilMs).toISOString();
  if (prefixes.length > 0) {
    return { ...key, condition: { name: pathLimitsName, context: { until, networks, path_prefixes: prefixes } } };
  }
  return { ...key, condition: { name: limitsName, context: { until, networks } } };
}

function timeOf(text: string, nowMs: number): number {
  const time = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (time > nowMs) return time;
  throw new UsageError(`--until ${text}: write a time to come in RFC 3339, such as 2999-12-31T00:00:00Z`);
}

function networksOf(text: string): string[] {
  const networks = text.split(',').map((network) => network.trim());
  const wrong = networks.find((network) => !ipaddr.isValidCIDR(network));
  if (wrong !== undefined) throw new UsageError(`--from ${wrong}: write networks such as 10.0.0.0/8,2001:db8::/32`);
  if (networks.length > networksMax) throw new UsageError(`--from: ${networksMax} networks at most`);
  return networks;
}

/** Directories as OpenFGA is told them, with a slash at their ends. */
function prefixesOf(text: string, relation: string, networks: readonly string[]): string[] {
  if (!pathRelations.has(relation)) throw new UsageError(`--path: only with ${[...pathRelations].join(', ')}`);
  const paths = text.split(',').map((path) => path.trim());
  const isPlain = (path: string): boolean => posix.normalize(path) === path && /^\/[^/\0]/.test(path);
  const wrong = paths.find((path) => !isPlain(path) || path.includes('\ufffd'));
  if (wrong !== undefined) throw new UsageError(`--path ${wrong}: write absolute directories such as /scratch/climate`);
  const prefixes = paths.map((path) => path.replace(/\/?$/, '/'));
  const max = pathLimitsMax;
  if (prefixes.length > max.paths || prefixes.join('').length > max.chars) {
    throw new UsageError(`--path: ${max.paths} directories at most, of ${max.chars} characters together`);
  }
  if (networks.length > max.networks) throw new UsageError(`--from: ${max.networks} networks at most with --path`);
  return prefixes;
}

function requireLimits(relation: string, untilMs: number | null, networks: readonly string[], nowMs: number): void {
  const { daysMax, needsNetworks } = ruleOf(relation);
  if (untilMs === null || untilMs > nowMs + daysMax * dayMs) {
    throw new UsageError(`--until is required for a service client: ${relation} for ${daysMax} days at most`);
  }
  if (needsNetworks && networks.length === 0) {
    throw new UsageError(`--from is required for a service client with ${relation}`);
  }
}

/** A relation by itself is bound as the mildest preset that has it; `administer`, which none has, as the strictest. */
function ruleOf(relation: string): Preset {
  if (relation === 'view_status') return presets.preset_read;
  const having = Object.entries<Preset>(presets).find(
    ([name, { relations }]) => name === relation || relations.some((one) => one === relation),
  );
  return having?.[1] ?? presets.preset_full;
}
