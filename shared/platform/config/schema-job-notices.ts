/** The sections of the configuration file about watched jobs and their output. */
import { duration, integer, section, size } from './schema-fields.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

export const watches = section({
  per_user_max: integer(1, 1_000_000).default(2_000).describe('Jobs that one user may watch at a time.'),
  total_max: integer(1, 1_000_000).default(50_000).describe('Jobs that are watched at a time, of all users.'),
  interval_min: duration({ minMs: 500, maxMs: 10 * minuteMs })
    .prefault('2s')
    .describe(
      'Shortest time between two looks at the watched jobs of a system: of young jobs, and of those about to end.',
    ),
  interval_max: duration({ minMs: 500, maxMs: 60 * minuteMs })
    .prefault('30s')
    .describe('Longest time between two looks: of jobs in which nothing has happened for long.'),
  commands_per_minute_max: integer(2, 10_000)
    .default(120)
    .describe('Commands that watches run on one system in a minute; beyond that they wait.'),
  lost_after: duration({ minMs: 1_000, maxMs: dayMs })
    .prefault('2m')
    .describe(
      'So long the scheduler must say that it does not know a job, without a failed look between, until it is lost.',
    ),
  keep: duration({ minMs: 60_000, maxMs: 365 * dayMs })
    .prefault('7d')
    .describe('How long a watch is kept that is over.'),
  watch_for_max: duration({ minMs: 60_000, maxMs: 365 * dayMs })
    .prefault('30d')
    .describe('How long a job is watched; the consent that is recorded with a watch ends then.'),
});

export const logs = section({
  streams_per_user_max: integer(1, 1_000)
    .default(10)
    .describe('Outputs of jobs that one user may follow at a time with one API process.'),
  follow_for_max: duration({ minMs: 1_000, maxMs: dayMs })
    .prefault('1h')
    .describe('Longest life of one stream; its client comes back by itself and goes on where it was.'),
  interval: duration({ minMs: 100, maxMs: minuteMs })
    .prefault('1s')
    .describe('Time between two looks at a followed file.'),
  bytes_max: size({ minBytes: 64 * 1024, maxBytes: 2 ** 40 })
    .prefault('64MiB')
    .describe('Most of one stream, after which its client comes back.'),
});
