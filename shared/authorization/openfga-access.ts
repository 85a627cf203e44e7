/**
 * Asks OpenFGA who may do what, by its Check and ListObjects APIs, with the model of `authorization-model.ts`. Every
 * failure refuses: no answer is never taken for a yes.
 */
import { BrokerError } from '../errors/broker-error.ts';
import type { Relation } from '../operations/operation.ts';
import type { Principal } from '../tasks/task.ts';
import type { Access, OthersThing } from './access-checker.ts';
import { pathRelations } from './authorization-model.ts';
import { type CheckQuestion, createBatchedChecks } from './batched-checks.ts';
import { createDecisions } from './decisions.ts';
import { createOpenFgaClient, describeFailure, type OpenFgaSettings } from './openfga-client.ts';

export interface OpenFgaAccessOptions extends OpenFgaSettings {
  storeId: string;
  /** How long a permission is remembered: a grant that was revoked counts no longer than this. */
  cacheMs: number;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

const entriesMax = 20_000;
/** A refusal is remembered for less: who was just granted something tries again. */
const refusalMsMax = 1_000;
const retryAfterSeconds = 2;
/** In no network, so that a grant for some networks does not hold where the address is not known. */
const unknownAddress = '::';
const brokerObject = 'broker:goldcrest';

const deeds: Record<Relation, string> = {
  view_status: 'see the state of',
  read_files: 'read files on',
  write_files: 'change files on',
  submit: 'submit jobs on',
  cancel: 'cancel jobs on',
  transfer: 'transfer files of',
  administer: 'administer',
};

/**
 * A token whose subject is its own client belongs to a program (RFC 9068, section 2.2) and has the grants of that client
 * alone; all others are users, by their names on the clusters.
 */
export function subjectOf({ subject, client, username }: Principal): string {
  return subject === client ? `service_client:${encodeURIComponent(subject)}` : `user:${username}`;
}

/** Connects when first asked. */
export function createOpenFgaAccess(options: OpenFgaAccessOptions): Access {
  const { cacheMs, timeoutMs, now = Date.now } = options;
  const client = createOpenFgaClient(options);
  const permissions = createDecisions<boolean>({
    entriesMax,
    lifeMsOf: (isAllowed) => (isAllowed ? cacheMs : Math.min(cacheMs, refusalMsMax)),
    now,
  });
  const visible = createDecisions<ReadonlySet<string>>({
    entriesMax: entriesMax / 10,
    lifeMsOf: () => Math.min(cacheMs, refusalMsMax),
    now,
  });

  const checks = createBatchedChecks(client);

  const ask = async <T>(request: Promise<T>): Promise<T> => {
    try {
      return await within(request, timeoutMs);
    } catch (error) {
      // Not as the cause: the client's error holds the request, and that the key.
      const detail = { openfga: describeFailure(error) };
      throw new BrokerError('AuthorizationUnavailable', undefined, { detail, retryAfterSeconds });
    }
  };

  /** `path`: the whole system with `/`, any part of it with nothing. */
  const contextOf = (source: string, path: string) => ({ current_time: new Date(now()).toISOString(), source, path });

  const check = (question: Omit<CheckQuestion, 'context'>, source: string, path = ''): Promise<boolean> =>
    ask(checks({ ...question, context: contextOf(source, path) }));

  const listVisible = async (user: string, source: string): Promise<ReadonlySet<string>> => {
    const request = { user, relation: 'view_status', type: 'system', context: contextOf(source, '') };
    const { objects } = await ask(client.listObjects(request));
    return new Set(objects.map((object) => object.slice('system:'.length)));
  };

  return {
    policy: 'openfga',
    async checkAccess(principal, relation, system, address = unknownAddress) {
      // What is about the broker is about what is the caller's own, unless it is administration.
      if (system === null && relation !== 'administer') return;
      const user = subjectOf(principal);
      const object = system === null ? brokerObject : `system:${system}`;
      const key = `${user} ${relation} ${object} ${address}`;
      if (await permissions.decide(key, () => check({ user, relation, object }, address))) return;
      throw new BrokerError('Forbidden', `You may not ${deeds[relation]} ${system ?? 'this service'}.`, {
        detail: { user, relation, object, address },
      });
    },
    async checkPaths(principal, relation, system, paths, address = unknownAddress) {
      if (!pathRelations.has(relation)) return;
      const question = { user: subjectOf(principal), relation, object: `system:${system}` };
      const key = `${question.user} ${relation} ${question.object} ${address} /`;
      if (await permissions.decide(key, () => check(question, address, '/'))) return;
      const answers = await Promise.all(paths.map((path) => check(question, address, path.replace(/\/*$/, '/'))));
      if (paths.length > 0 && answers.every(Boolean)) return;
      // Not where it is: the place is what a link leads to.
      throw new BrokerError('Forbidden', `You may ${deeds[relation]} ${system} in some directories only.`, {
        detail: { ...question, address, paths },
      });
    },
    findVisible(principal, address = unknownAddress) {
      const user = subjectOf(principal);
      return visible.decide(`${user} ${address}`, () => listVisible(user, address));
    },
    mayOnOthers(principal, relation, thing, address = unknownAddress) {
      const user = subjectOf(principal);
      const object = `${thing.type}:${thing.id}`;
      // Not by key alone: who asks for what is not there has the same question asked as who asks for what is.
      return permissions.decide(`${user} ${relation} ${object} ${thing.system} ${address}`, () =>
        check({ user, relation, object, contextualTuples: { tuple_keys: placesOf(thing, object) } }, address),
      );
    },
  };
}

/** What a thing belongs to, told along with the question: the store of OpenFGA knows no tasks. */
function placesOf({ type, system }: OthersThing, object: string) {
  const broker = { user: brokerObject, relation: 'broker', object };
  if (type === 'webhook' || system == null) return [broker];
  return [broker, { user: `system:${system}`, relation: 'system', object }];
}

/** The client's own bound is for each try; this one is for all. */
async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
