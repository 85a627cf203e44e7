/** What both processes do first: read the configuration, or say in one readable message why they cannot start. */
import type { Logger } from 'pino';
import type { Config } from './config/config.ts';
import { ConfigError, describeProblem } from './config/config-error.ts';
import { loadConfig } from './config/load-config.ts';
import { findUnsupported, findWithoutEffect } from './config/unsupported.ts';
import { createLog } from './log.ts';
import { findDurabilityProblems, type Redis } from './redis.ts';

/** Exit status of sysexits(3): the configuration is wrong. */
export const exitConfig = 78;

/** Loads the configuration. One that is wrong, or asks for what this version cannot do, is printed and ends the process. */
export function startUp(process: NodeJS.Process, kind: 'api' | 'worker'): { config: Config; log: Logger } {
  try {
    const { config, warnings, placeOf } = loadConfig({ env: process.env });
    const unsupported = findUnsupported(config, placeOf);
    if (unsupported.length > 0) throw new ConfigError(unsupported);
    const log = createLog(config.log.level, kind);
    for (const warning of [...warnings, ...findWithoutEffect(config, placeOf)]) log.warn(describeProblem(warning));
    return { config, log };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(exitConfig);
  }
}

/**
 * Each time Redis becomes ready, checks that it keeps what it accepts; ends the process where it does not and the
 * configuration insists. Redis may be away at start: the check follows when it is there.
 */
export function guardDurability(redis: Redis, isRequired: boolean, log: Logger): void {
  const check = async (): Promise<void> => {
    const problems = await findDurabilityProblems(redis);
    if (problems.length === 0) return;
    const message = `Redis would lose accepted tasks: ${problems.join('; ')}.`;
    if (!isRequired) {
      log.warn(`${message} Going on because goldcrest.redis.require_durability is false.`);
      return;
    }
    log.fatal(`${message} To run all the same set goldcrest.redis.require_durability to false.`);
    process.exit(exitConfig);
  };
  const run = (): void => {
    check().catch((error: unknown) => log.warn({ err: error }, 'the settings of Redis could not be read'));
  };
  redis.on('ready', run);
  if (redis.status === 'ready') run();
}
