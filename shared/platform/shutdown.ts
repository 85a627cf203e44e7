/** Ends a process in order: the first signal starts the given steps, a second one or a late step ends it at once. */
import type { Logger } from 'pino';

export interface ShutdownStep {
  name: string;
  run(): Promise<unknown>;
}

/**
 * Runs the steps one after another on SIGTERM or SIGINT and exits: 0 when all went well, 1 otherwise. `graceMs` bounds
 * them together; a step that fails is logged and the next one runs all the same.
 */
export function onShutdown(steps: readonly ShutdownStep[], graceMs: number, log: Logger): void {
  let isStopping = false;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error({ graceMs }, 'stop took too long');
      process.exit(1);
    }, graceMs).unref();
    let hasFailed = false;
    for (const step of steps) {
      try {
        await step.run();
      } catch (error) {
        hasFailed = true;
        log.error({ err: error, step: step.name }, 'stop step failed');
      }
    }
    log.info('stopped');
    process.exit(hasFailed ? 1 : 0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
