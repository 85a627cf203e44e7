/**
 * What a configuration may say and this version does not do. The parse accepts it, since it is part of the file's
 * shape; a process does not start with what cannot be honoured, and warns about what has no effect yet.
 */
import type { Config, SystemConfig } from './config.ts';
import { type ConfigProblem, keyOf } from './config-error.ts';
import { slurmrestMinor, slurmrestMinors } from './slurmrest-versions.ts';

type Path = readonly PropertyKey[];
/** Where a key was written: `file:line` or `environment VARIABLE`; null where it was not. */
export type PlaceOf = (path: Path) => string | null;

/** Settings that cannot be honoured, each with what to do about it. Unless it is empty the process must not start. */
export function findUnsupported(config: Config, placeOf: PlaceOf): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const refuse = (message: string, ...paths: [Path, ...Path[]]) => problems.push(problemAt(placeOf, message, paths));
  config.systems.forEach(({ name, scheduler: { apiVersion } }, index) => {
    if (apiVersion !== null && slurmrestMinor(apiVersion) === undefined) {
      const known = slurmrestMinors.map((minor) => `0.0.${minor}`).join(', ');
      const message = `is not known to this version: leave it out for the system ${name}, or use one of ${known}`;
      refuse(message, ['clusters', index, 'scheduler', 'api_version']);
    }
  });
  return problems;
}

/** Keys of FirecREST that have no effect in this version; nothing is less safe for it. To be logged as warnings. */
export function findWithoutEffect(config: Config, placeOf: PlaceOf): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const warn = (message: string, path: Path) => problems.push(problemAt(placeOf, message, [path]));
  const hasTokenUrl = config.authentication.issuers.some(({ tokenUrl }) => tokenUrl !== null);
  config.systems.forEach((system, index) => {
    for (const { service, message } of findUnprobed(system, hasTokenUrl)) {
      warn(message, ['clusters', index, 'probing', 'services', service]);
    }
  });
  const noTracing = 'has no effect: this version writes no tracing log';
  if (config.log.tracing) warn(noTracing, ['logger', 'enable_tracing_log']);
  if (config.log.requestHeaders.length > 0) warn(noTracing, ['logger', 'loggable_request_headers']);
  return problems;
}

/** Services that are to be probed and cannot be. */
function findUnprobed({ probing, serviceAccount, dataOperation }: SystemConfig, hasTokenUrl: boolean) {
  const services = probing.services ?? {};
  const withLogin = (['ssh', 'scheduler', 'filesystem'] as const).filter((service) => services[service] !== undefined);
  const isNamed = serviceAccount !== null && (serviceAccount.username !== null || hasTokenUrl);
  const account = 'service_account with a token_url, or goldcrest.systems.<name>.service_account_username';
  const unprobed = isNamed
    ? []
    : withLogin.map((service) => ({ service, message: `has no effect without an account to log in with: ${account}` }));
  if (services.s3 === undefined || dataOperation.dataTransfer?.type === 's3') return unprobed;
  return [...unprobed, { service: 's3', message: 'has no effect: data_transfer of the system is not s3' }];
}

/** The problem at the first of the paths that is in the configuration. */
function problemAt(placeOf: PlaceOf, message: string, paths: [Path, ...Path[]]): ConfigProblem {
  const path = paths.find((candidate) => placeOf(candidate) !== null) ?? paths[0];
  return { key: keyOf(path), place: placeOf(path) ?? 'not given', message };
}
