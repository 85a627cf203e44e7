/**
 * Every metric that API and workers tell, as data: docs/metrics.md, prom-client's registry and the tests are made from it.
 * Names follow Prometheus' conventions (base units, `_total` for what only grows). Values of labels come from the
 * configuration or from a list in the code, never from a request, so that their number has a bound.
 */

import type { MetricSpec } from './metric-spec.ts';

/** Of what a client waits for: from a read that is answered at once to a request that is held as long as may be. */
const answerBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60] as const;
/** Of tasks, which may take from milliseconds to days. */
const taskBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 86_400] as const;

export const metricCatalogue = {
  goldcrest_build_info: {
    kind: 'gauge',
    of: 'both',
    help: 'Always 1; the label tells the version that runs.',
    labels: ['version'],
    use: 'graph: versions during an upgrade',
  },
  goldcrest_http_request_duration_seconds: {
    kind: 'histogram',
    of: 'api',
    help: 'Time from a request to its answer; of a stream of events to its beginning, of a download to its last byte.',
    labels: ['operation', 'method', 'status'],
    use: 'GoldcrestServerErrors; graph: requests and their time by operation',
    buckets: answerBuckets,
  },
  goldcrest_http_errors_total: {
    kind: 'counter',
    of: 'api',
    help: 'Answers that are errors, and refused items of batches, by code of the error catalogue.',
    labels: ['code'],
    use: 'GoldcrestRefusals; graph: errors by code',
  },
  goldcrest_tasks_accepted_total: {
    kind: 'counter',
    of: 'api',
    help: 'Tasks that were accepted; a chain with the system of its first step.',
    labels: ['operation', 'system'],
    use: 'graph: accepted against ended',
  },
  goldcrest_idempotent_replays_total: {
    kind: 'counter',
    of: 'api',
    help: 'Requests that an Idempotency-Key led to what an earlier request had made.',
    labels: [],
    use: 'graph: repeats by clients, after timeouts of theirs',
  },
  goldcrest_tasks_ended_total: {
    kind: 'counter',
    of: 'both',
    help: 'Tasks that ended: completed, failed or canceled; a chain with the system of its last step.',
    labels: ['operation', 'system', 'state', 'fault'],
    use: 'GoldcrestTasksFailing; graph: tasks by end',
  },
  goldcrest_task_duration_seconds: {
    kind: 'histogram',
    of: 'both',
    help: 'Time from the accept of a task to its end.',
    labels: ['operation'],
    use: 'graph: time of tasks by operation',
    buckets: taskBuckets,
  },
  goldcrest_task_wait_seconds: {
    kind: 'histogram',
    of: 'worker',
    help: 'Time from the accept of a task, or from its start time, until a worker began its first attempt; also for a place among those of its owner.',
    labels: ['lane', 'system'],
    use: 'GoldcrestTasksWaitLong; graph: waits by lane',
    buckets: taskBuckets,
  },
  goldcrest_tasks_running: {
    kind: 'gauge',
    of: 'worker',
    help: 'Attempts at tasks that run in this worker now; a task that is laid by does not run.',
    labels: ['lane', 'system'],
    use: 'GoldcrestQueueStuck; graph: load of workers',
  },
  goldcrest_tasks_open: {
    kind: 'gauge',
    of: 'api',
    help: 'Tasks of a queue that have not ended, in Redis; every API process tells the same.',
    labels: ['lane', 'system'],
    use: 'graph: open tasks against goldcrest.tasks.open_per_queue_max',
  },
  goldcrest_queue_entries: {
    kind: 'gauge',
    of: 'api',
    help: 'Entries of a queue, of one to sixteen tasks each: waiting for a worker, active at one, delayed until a time.',
    labels: ['lane', 'system', 'state'],
    use: 'GoldcrestQueueStuck; GoldcrestTasksWaitLong; graph: how many workers are needed',
  },
  goldcrest_webhook_attempts_total: {
    kind: 'counter',
    of: 'worker',
    help: 'Attempts at webhook deliveries: delivered, to be retried, or given up.',
    labels: ['outcome'],
    use: 'graph: deliveries by outcome',
  },
  goldcrest_webhook_backlog: {
    kind: 'gauge',
    of: 'api',
    help: 'Webhooks that are not delivered yet: event (not looked at), due, later (to be tried again).',
    labels: ['state'],
    use: 'GoldcrestWebhooksLate',
  },
  goldcrest_ssh_connections: {
    kind: 'gauge',
    of: 'worker',
    help: 'SSH connections of this worker that are open, busy or idle.',
    labels: ['system', 'state'],
    use: 'graph: connections against max_clients of the system',
  },
  goldcrest_ssh_channels_in_use: {
    kind: 'gauge',
    of: 'worker',
    help: 'Channels in use on these connections.',
    labels: ['system'],
    use: 'graph: channels against connections',
  },
  goldcrest_ssh_channel_waiters: {
    kind: 'gauge',
    of: 'worker',
    help: 'Work that waits for an SSH channel.',
    labels: ['system'],
    use: 'GoldcrestSshChannelsShort',
  },
  goldcrest_ssh_connects_total: {
    kind: 'tally',
    of: 'worker',
    help: 'SSH connections that were opened.',
    labels: ['system'],
    use: 'graph: logins a second, for the administrators of login nodes',
  },
  goldcrest_ssh_connect_failures_total: {
    kind: 'tally',
    of: 'worker',
    help: 'SSH connections that could not be opened, by error code.',
    labels: ['system', 'code'],
    use: 'GoldcrestSshFailing',
  },
  goldcrest_ssh_channels_refused_total: {
    kind: 'tally',
    of: 'worker',
    help: 'Channels that a login node refused.',
    labels: ['system'],
    use: 'graph: channels_per_connection_max against MaxSessions',
  },
  goldcrest_scheduler_questions_total: {
    kind: 'counter',
    of: 'worker',
    help: 'Questions about jobs that clients asked.',
    labels: ['system'],
    use: 'graph: questions against queries',
  },
  goldcrest_scheduler_queries_total: {
    kind: 'counter',
    of: 'worker',
    help: 'What the scheduler was asked, by kind of query; one may answer many questions.',
    labels: ['system', 'query'],
    use: 'graph: load on the scheduler',
  },
  goldcrest_transfer_bytes_total: {
    kind: 'counter',
    of: 'worker',
    help: 'Bytes of files that were moved, counted when a transfer has ended well. in: to the cluster, out: from it.',
    labels: ['system', 'mover', 'direction'],
    use: 'graph: bytes a day by system',
  },
  goldcrest_transfer_reruns_total: {
    kind: 'counter',
    of: 'worker',
    help: 'Runs of long work on files beyond the first, after one that was lost or cut off.',
    labels: ['system'],
    use: 'graph: login nodes that kill long work',
  },
  goldcrest_service_up: {
    kind: 'gauge',
    of: 'api',
    help: 'Whether a probed service of a system is well: 1, or 0 where one of its kind is broken. Absent: not known.',
    labels: ['system', 'service'],
    use: 'GoldcrestServiceBroken',
  },
  goldcrest_redis_up: {
    kind: 'gauge',
    of: 'both',
    help: 'Whether Redis answered this scrape.',
    labels: [],
    use: 'GoldcrestRedisDown',
  },
  goldcrest_redis_errors_total: {
    kind: 'counter',
    of: 'both',
    help: 'Errors of connections to Redis, each attempt to come back included.',
    labels: ['purpose'],
    use: 'graph: outages of Redis',
  },
  goldcrest_redis_reconnects_total: {
    kind: 'counter',
    of: 'both',
    help: 'Connections to Redis that were lost and are back.',
    labels: ['purpose'],
    use: 'graph: connections that flap',
  },
  goldcrest_redis_memory_used_bytes: {
    kind: 'gauge',
    of: 'api',
    help: 'Memory that Redis uses.',
    labels: [],
    use: 'GoldcrestStoreNearlyFull',
  },
  goldcrest_redis_memory_accept_bytes: {
    kind: 'gauge',
    of: 'api',
    help: 'Memory in use from which on new tasks are refused (StoreFull).',
    labels: [],
    use: 'GoldcrestStoreNearlyFull',
  },
  goldcrest_audit_failures_total: {
    kind: 'counter',
    of: 'both',
    help: 'Failed attempts to write an audit record down (file) or to store it (redis); each is repeated.',
    labels: ['place'],
    use: 'GoldcrestAuditFailing',
  },
} as const satisfies Record<`goldcrest_${string}`, MetricSpec>;
