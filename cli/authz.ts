/** `goldcrest authz`: the model, the grants and the checks of an OpenFGA store. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { authorizationModel } from '../shared/authorization/authorization-model.ts';
import {
  createOpenFgaClient,
  describeFailure,
  isOpenFgaFailure,
  type OpenFgaSettings,
} from '../shared/authorization/openfga-client.ts';
import { ConfigError } from '../shared/platform/config/config-error.ts';
import { loadConfig } from '../shared/platform/config/load-config.ts';
import { Secret } from '../shared/platform/secret.ts';
import { grantKeyOf, grantOf, objectOf, subjectOf, UsageError, wordsOf } from './grants.ts';
import { authzHelp } from './help.ts';

export interface CliIo {
  env: Record<string, string | undefined>;
  /** One line of the result. */
  print(line: string): void;
  /** One line for people. */
  complain(line: string): void;
}

const exitStatus = { done: 0, denied: 1, usage: 2, refused: 3, config: 78 } as const;
const timeoutMs = 10_000;
const pageSize = 100;

const options = {
  help: { type: 'boolean', short: 'h' },
  url: { type: 'string' },
  store: { type: 'string' },
  'token-file': { type: 'string' },
  'new-store': { type: 'string' },
  until: { type: 'string' },
  from: { type: 'string' },
  path: { type: 'string' },
  client: { type: 'string' },
  preset: { type: 'string' },
  system: { type: 'string' },
  subject: { type: 'string' },
  object: { type: 'string' },
} as const;

type Values = ReturnType<typeof parse>['values'];

interface Command {
  words: readonly string[];
  values: Values;
  io: CliIo;
}

const commands: Readonly<Record<string, (command: Command) => Promise<number>>> = {
  model: runModel,
  grant: runGrant,
  revoke: runRevoke,
  list: runList,
  check: runCheck,
};

/** Resolves to the exit status; prints every failure. */
export async function runAuthz(args: readonly string[], io: CliIo): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    const [name, ...words] = positionals;
    if (values.help === true) {
      io.print(authzHelp);
      return exitStatus.done;
    }
    const run = name === undefined || !Object.hasOwn(commands, name) ? undefined : commands[name];
    if (run === undefined) throw new UsageError(name === undefined ? 'no command' : `unknown command ${name}`);
    return await run({ words, values, io });
  } catch (error) {
    return explain(error, io);
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function explain(error: unknown, io: CliIo): number {
  if (error instanceof UsageError) {
    io.complain(`goldcrest authz: ${error.message}\nTry: goldcrest authz --help`);
    return exitStatus.usage;
  }
  if (error instanceof ConfigError) {
    io.complain(error.message);
    return exitStatus.config;
  }
  if (!isOpenFgaFailure(error)) throw error;
  const { status, message } = describeFailure(error);
  io.complain(`OpenFGA ${status === null ? 'did not answer' : `answered ${status}`}: ${message}`);
  return exitStatus.refused;
}

/** Of the options, else of the configuration. Throws UsageError, ConfigError. */
function settingsOf({ values, io }: Command): OpenFgaSettings {
  const { url, store, 'token-file': tokenFile } = values;
  const given = {
    ...(store === undefined ? {} : { storeId: store }),
    ...(tokenFile === undefined ? {} : { apiToken: readToken(tokenFile) }),
  };
  if (url !== undefined) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new UsageError(`--url ${url}: write an http address`);
    return { url: url.replace(/\/+$/, ''), modelId: null, apiToken: null, timeoutMs, connectionsMax: 1, ...given };
  }
  const { authorization } = loadConfig({ env: io.env }).config;
  if (authorization.type !== 'openfga') throw new UsageError('the configuration names no OpenFGA: give --url');
  return { ...authorization, timeoutMs, ...given };
}

function readToken(file: string): Secret {
  try {
    return new Secret(readFileSync(file, 'utf8').trim());
  } catch {
    throw new UsageError(`--token-file ${file}: cannot be read`);
  }
}

/** Throws UsageError where no store is named. */
function clientOf(command: Command) {
  const settings = settingsOf(command);
  if (settings.storeId === undefined) throw new UsageError('--store is required with --url');
  return createOpenFgaClient(settings);
}

async function runModel(command: Command): Promise<number> {
  const { words, values, io } = command;
  if (words.length === 1 && words[0] === 'show') {
    io.print(JSON.stringify(authorizationModel, null, 2));
    return exitStatus.done;
  }
  if (words.length !== 1 || words[0] !== 'push') throw new UsageError('write model show or model push');
  const storeName = values['new-store'];
  const settings = settingsOf(command);
  const storeId =
    storeName === undefined
      ? settings.storeId
      : (await createOpenFgaClient(settings).createStore({ name: storeName })).id;
  if (storeId === undefined) throw new UsageError('--store or --new-store is required with --url');
  const pushed = await createOpenFgaClient({ ...settings, storeId }).writeAuthorizationModel(authorizationModel);
  io.print(`store_id: ${storeId}`);
  io.print(`model_id: ${pushed.authorization_model_id}`);
  return exitStatus.done;
}

async function runGrant(command: Command): Promise<number> {
  const { words, values, io } = command;
  const grant = grantOf(wordsOf(words, values), values, Date.now());
  await clientOf(command).write({ writes: [grant] });
  io.print(`granted: ${grant.user} ${grant.relation} ${grant.object}`);
  return exitStatus.done;
}

async function runRevoke(command: Command): Promise<number> {
  const key = grantKeyOf(wordsOf(command.words, command.values));
  await clientOf(command).write({ deletes: [key] });
  command.io.print(`revoked: ${key.user} ${key.relation} ${key.object}`);
  return exitStatus.done;
}

async function runList(command: Command): Promise<number> {
  const { words, values, io } = command;
  if (words.length > 0) throw new UsageError('list takes --subject and --object');
  const user = values.subject === undefined ? null : subjectOf(values.subject);
  const object = values.object === undefined ? null : objectOf(values.object);
  const client = clientOf(command);
  let continuationToken: string | undefined;
  do {
    const page = await client.read({}, { pageSize, ...(continuationToken ? { continuationToken } : {}) });
    for (const { key } of page.tuples) {
      if ((user !== null && key.user !== user) || (object !== null && key.object !== object)) continue;
      const limits = key.condition ? ` ${JSON.stringify(key.condition.context)}` : '';
      io.print(`${key.user} ${key.relation} ${key.object}${limits}`);
    }
    continuationToken = page.continuation_token;
  } while (continuationToken);
  return exitStatus.done;
}

async function runCheck(command: Command): Promise<number> {
  const { from = '::', path = '' } = command.values;
  const context = { current_time: new Date().toISOString(), source: from, path: path.replace(/\/*$/, path && '/') };
  const { allowed } = await clientOf(command).check({ ...grantKeyOf(command.words), context });
  command.io.print(allowed === true ? 'allowed' : 'not allowed');
  return allowed === true ? exitStatus.done : exitStatus.denied;
}
