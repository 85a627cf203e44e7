/** What can be told about a lab in JSON: every address, credential and file, for people and for other processes. */
import type { Lab } from './lab.ts';
import type { OidcFacts } from './oidc/token-client.ts';
import type { OpenFgaFacts } from './parts/openfga.ts';
import type { RedisFacts } from './parts/redis.ts';
import type { S3Facts } from './parts/s3.ts';
import type { SlurmFacts } from './parts/slurm.ts';
import type { SshdFacts } from './parts/sshd.ts';
import type { LabUser } from './users.ts';

/** The facts of a lab with all parts; one that was started with fewer lacks the others' members. */
export interface LabFacts {
  folder: string;
  users: LabUser[];
  redis: RedisFacts;
  sshd: SshdFacts;
  slurm: SlurmFacts;
  s3: S3Facts;
  openfga: OpenFgaFacts;
  oidc: OidcFacts;
}

/** The facts of the parts that were started. */
export function labFacts(lab: Lab): Partial<LabFacts> {
  const parts = Object.fromEntries(lab.parts.map((name) => [name, lab.find(name)]));
  return withoutFunctions({ folder: lab.folder, users: lab.users, ...parts }) as Partial<LabFacts>;
}

/** A copy that can be handed to another process: functions, and objects that hold nothing else, are left out. */
function withoutFunctions(value: unknown): unknown {
  if (typeof value === 'function') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutFunctions);
  const members = Object.entries(value)
    .map(([name, member]) => [name, withoutFunctions(member)] as const)
    .filter(([, member]) => member !== undefined);
  return members.length === 0 ? undefined : Object.fromEntries(members);
}
