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

/** The parameters of `limits` that stand in the grant; the request brings `current_time` and `source`. */
export interface Limits {
  /** RFC 3339. */
  until: string;
  /** CIDR; none means any address. */
  networks: readonly string[];
}

const limits: Condition = {
  name: limitsName,
  expression: 'current_time < until && (size(networks) == 0 || networks.exists(n, source.in_cidr(n)))',
  parameters: {
    current_time: { type_name: 'TYPE_NAME_TIMESTAMP' as TypeName },
    until: { type_name: 'TYPE_NAME_TIMESTAMP' as TypeName },
    source: { type_name: 'TYPE_NAME_IPADDRESS' as TypeName },
    networks: {
      type_name: 'TYPE_NAME_LIST' as TypeName,
      generic_types: [{ type_name: 'TYPE_NAME_STRING' as TypeName }],
    },
  },
};

const people: readonly RelationReference[] = [
  { type: 'user' },
  { type: 'group', relation: 'member' },
  { type: 'project', relation: 'member' },
];

/** People with or without limits. A program only with: none of its grants lasts for ever. */
const holders: readonly RelationReference[] = [
  ...people,
  ...[...people, { type: 'service_client' }].map((holder) => ({ ...holder, condition: limitsName })),
];

interface RelationRule {
  holders: readonly RelationReference[];
  /** Relations of the same type that bring this one along. */
  impliedBy: readonly string[];
}

function typeOf(type: string, rules: Readonly<Record<string, RelationRule>>): TypeDefinition {
  const entries = Object.entries(rules);
  const relations = entries.map(([name, { impliedBy }]) => {
    const implied = impliedBy.map((relation) => ({ computedUserset: { relation } }));
    return [name, implied.length === 0 ? { this: {} } : { union: { child: [{ this: {} }, ...implied] } }] as const;
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
  const ofPresets = Object.keys(presets).map((name) => [name, { holders, impliedBy: [] }] as const);
  const ofRelations = systemRelations.map((name) => [name, { holders, impliedBy: impliersOf(name) }] as const);
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
  ],
  conditions: { [limitsName]: limits },
};
