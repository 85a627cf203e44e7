/**
 * The authorization model for OpenFGA (schema 1.1): who can be granted what. `goldcrest authz model push` writes it to a
 * store. The checker relies on the types `user`, `service_client`, `system` and `broker` and on the names of the relations.
 */
import type {
  Condition,
  RelationMetadata,
  RelationReference,
  TypeDefinition,
  TypeName,
  WriteAuthorizationModelRequest,
} from '@openfga/sdk';
import type { Relation } from '../operations/operation.ts';

/** What can be granted on a system, one for each class of operations. */
export const systemRelations = [
  'view_status',
  'read_files',
  'write_files',
  'submit',
  'cancel',
  'transfer',
  'administer',
] as const satisfies readonly Relation[];

export interface Preset {
  relations: readonly Relation[];
  /** Longest life of a grant to a service client. */
  daysMax: number;
  /** Whether a grant to a service client must name the networks it is used from. */
  needsNetworks: boolean;
}

/** Sets of relations granted as one, above all to programs. The more one can do, the shorter it lives. */
export const presets = {
  preset_read: { relations: ['read_files'], daysMax: 365, needsNetworks: false },
  preset_transfer: { relations: ['read_files', 'write_files', 'transfer'], daysMax: 180, needsNetworks: false },
  preset_submit: { relations: ['read_files', 'submit', 'cancel'], daysMax: 60, needsNetworks: true },
  preset_full: {
    relations: ['read_files', 'write_files', 'transfer', 'submit', 'cancel'],
    daysMax: 30,
    needsNetworks: true,
  },
} satisfies Record<string, Preset>;

/** Name of the condition that limits a grant to a time and to networks. */
export const limitsName = 'limits';

/** Networks of one grant: OpenFGA gives a condition a cost of 100 by its default, and refuses to answer beyond. */
export const networksMax = 8;

/** Name of the condition that also limits it to directories. */
export const pathLimitsName = 'limits_in_paths';

/** What can be granted for some directories only: nothing that lets a user's own program loose on the system. */
export const pathRelations: ReadonlySet<string> = new Set([
  ...['read_files', 'write_files', 'transfer'],
  ...['preset_read', 'preset_transfer'],
]);

/** Bounds of a grant for directories, for the same cost: networks, directories, and their characters together. */
export const pathLimitsMax = { networks: 4, paths: 4, chars: 240 } as const;

/** The parameters of `limits` that stand in the grant; the request brings `current_time` and `source`. */
export interface Limits {
  /** RFC 3339. */
  until: string;
  /** CIDR; none means any address. */
  networks: readonly string[];
}

/** Those of `limits_in_paths`; the request brings `path` besides. */
export interface PathLimits extends Limits {
  /** Absolute, each with a slash at its end. */
  path_prefixes: readonly string[];
}

const named = (name: string) => ({ type_name: name as TypeName });
const texts = { ...named('TYPE_NAME_LIST'), generic_types: [named('TYPE_NAME_STRING')] };
const timeAndPlace = 'current_time < until && (size(networks) == 0 || networks.exists(n, source.in_cidr(n)))';
const timeAndPlaceParameters = {
  current_time: named('TYPE_NAME_TIMESTAMP'),
  until: named('TYPE_NAME_TIMESTAMP'),
  source: named('TYPE_NAME_IPADDRESS'),
  networks: texts,
};

const conditions: Record<string, Condition> = {
  [limitsName]: { name: limitsName, expression: timeAndPlace, parameters: timeAndPlaceParameters },
  // Paths and prefixes end with a slash. An empty path asks whether there is any, `/` whether it is everywhere.
  [pathLimitsName]: {
    name: pathLimitsName,
    expression: `${timeAndPlace} && (path == "" || path_prefixes.exists(p, path.startsWith(p)))`,
    parameters: { ...timeAndPlaceParameters, path: named('TYPE_NAME_STRING'), path_prefixes: texts },
  },
};

const people: readonly RelationReference[] = [
  { type: 'user' },
  { type: 'group', relation: 'member' },
  { type: 'project', relation: 'member' },
];

/** People with or without limits. A program only with: none of its grants lasts for ever. */
function holdersOf(relation: string): RelationReference[] {
  const limits = pathRelations.has(relation) ? [limitsName, pathLimitsName] : [limitsName];
  const limited = limits.flatMap((condition) =>
    [...people, { type: 'service_client' }].map((holder) => ({ ...holder, condition })),
  );
  return [...people, ...limited];
}

interface RelationRule {
  holders: readonly RelationReference[];
  /** Relations of the same type that bring this one along. */
  impliedBy: readonly string[];
  /** Names of relations to an object whose administrators have this one. */
  administeredBy?: readonly string[];
}

function typeOf(type: string, rules: Readonly<Record<string, RelationRule>>): TypeDefinition {
  const entries = Object.entries(rules);
  const relations = entries.map(([name, { holders, impliedBy, administeredBy = [] }]) => {
    const child = [
      ...(holders.length === 0 ? [] : [{ this: {} }]),
      ...impliedBy.map((relation) => ({ computedUserset: { relation } })),
      ...administeredBy.map((tupleset) => ({
        tupleToUserset: { tupleset: { relation: tupleset }, computedUserset: { relation: 'administer' } },
      })),
    ];
    return [name, child.length === 1 && holders.length > 0 ? { this: {} } : { union: { child } }] as const;
  });
  const granted = entries.map(([name, rule]): [string, RelationMetadata] => [
    name,
    { directly_related_user_types: [...rule.holders] },
  ]);
  return {
    type,
    relations: Object.fromEntries(relations),
    metadata: { relations: Object.fromEntries(granted) },
  };
}

/** Whoever may do anything on a system may see it, and who administers it may do all. */
function impliersOf(relation: Relation): string[] {
  if (relation === 'administer') return [];
  if (relation === 'view_status') return [...systemRelations.filter((other) => other !== 'view_status')];
  const bringing = Object.entries<Preset>(presets).filter(([, preset]) => preset.relations.includes(relation));
  return ['administer', ...bringing.map(([name]) => name)];
}

function systemRules(): Record<string, RelationRule> {
  const ofPresets = Object.keys(presets).map((name) => [name, { holders: holdersOf(name), impliedBy: [] }] as const);
  const ofRelations = systemRelations.map(
    (name) => [name, { holders: holdersOf(name), impliedBy: impliersOf(name) }] as const,
  );
  return Object.fromEntries([...ofPresets, ...ofRelations]);
}

const membership = { member: { holders: people, impliedBy: [] } };

/** The whole model, as the API of OpenFGA takes it. */
export const authorizationModel: WriteAuthorizationModelRequest = {
  schema_version: '1.1',
  type_definitions: [
    { type: 'user' },
    { type: 'service_client' },
    typeOf('group', membership),
    typeOf('project', membership),
    typeOf('system', systemRules()),
    typeOf('broker', { administer: { holders: people, impliedBy: [] } }),
    typeOf('task', {
      // Which system and service it is of stands in the request that asks, not in the store.
      system: { holders: [{ type: 'system' }], impliedBy: [] },
      broker: { holders: [{ type: 'broker' }], impliedBy: [] },
      viewer: { holders: people, impliedBy: [] },
      view: { holders: [], impliedBy: ['viewer'], administeredBy: ['system', 'broker'] },
      cancel: { holders: [], impliedBy: [], administeredBy: ['system', 'broker'] },
    }),
    typeOf('webhook', {
      broker: { holders: [{ type: 'broker' }], impliedBy: [] },
      viewer: { holders: people, impliedBy: [] },
      view: { holders: [], impliedBy: ['viewer'], administeredBy: ['broker'] },
    }),
  ],
  conditions,
};
