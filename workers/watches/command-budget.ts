/** How many commands watches may still run on a system: at most so many in any minute, counted where they are run. */
import type { SchedulerHost } from '../schedulers/scheduler.ts';

export interface CommandBudget {
  /** Milliseconds until that many may run; 0: now. */
  waitMs(count: number): number;
  spend(count: number): void;
  /** The same host, whose commands and requests are counted. */
  counted(host: SchedulerHost): SchedulerHost;
  spent(): number;
}

const minuteMs = 60_000;

export function createCommandBudget(perMinuteMax: number, now: () => number = Date.now): CommandBudget {
  let spentAt: number[] = [];
  const forget = (): void => {
    const since = now() - minuteMs;
    spentAt = spentAt.filter((at) => at > since);
  };
  const spend = (count: number): void => {
    for (let left = count; left > 0; left -= 1) spentAt.push(now());
  };
  return {
    waitMs(count) {
      forget();
      const over = spentAt.length + Math.min(count, perMinuteMax) - perMinuteMax;
      return over <= 0 ? 0 : Math.max(1, (spentAt[over - 1] ?? 0) + minuteMs - now());
    },
    spend,
    counted: (host) => ({
      ...host,
      asked: () => spend(1),
      shell: {
        run(argv, options) {
          spend(1);
          return host.shell.run(argv, options);
        },
      },
    }),
    spent() {
      forget();
      return spentAt.length;
    },
  };
}
