/** An entry of `goldcrest.systems`: what FirecREST v2 has no word for about one system, and the keys of its hosts. */
import { z } from 'zod';
import { defaultProcessJobs } from './process-jobs.ts';
import { addressList, duration, flag, integer, section, size, text } from './schema-fields.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const publicKey = text().regex(
  /^(SHA256:[A-Za-z0-9+/]{43}=?|(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?)$/,
  'must be a public key ("ssh-ed25519 AAAA…") or a fingerprint ("SHA256:…")',
);

/** How a host is known. */
export const hostKeys = section({
  pinned: z
    .preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(publicKey).max(100))
    .default([])
    .describe('Public keys or `SHA256:` fingerprints of the host.'),
  known_hosts_file: text().optional().describe('A file as OpenSSH keeps it.'),
  host_ca: z
    .preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(publicKey).max(100))
    .default([])
    .describe(
      'Public keys or fingerprints of authorities that sign host certificates: a host with a certificate in its name is known.',
    ),
  accept_any: flag().default(false).describe('For development only: do not look at host keys.'),
});

const slurmrestd = section({
  jwt_key_file: text()
    .optional()
    .describe(
      'The HS256 key of the cluster (`jwt_key` of its slurm.conf), to the byte; the worker signs with it a token of a minute or two for each request. Required with `connection_mode` `rest` and `hybrid`. Who has it can act as every user of the cluster.',
    ),
  ca_file: text().optional().describe('PEM certificates to trust for an https `api_url`; the usual ones if not given.'),
});

const processJobs = section({
  slots: integer(1, 100_000)
    .optional()
    .describe('CPUs for the jobs of all users at once; others wait their turn. No bound if not given.'),
  slots_directory: text()
    .regex(/^\//, 'must be an absolute path')
    .default(defaultProcessJobs.slotsDirectory)
    .describe('On the host, for the locks that share the slots among its users; best made by root, with mode 1777.'),
  time_limit_max: duration({ minMs: 1_000, maxMs: 3_650 * dayMs })
    .optional()
    .describe('Longest run of a job, and that of a job which names none. No bound if not given.'),
  open_per_user_max: integer(1, 100_000)
    .default(defaultProcessJobs.openPerUserMax)
    .describe('Jobs of one user that wait or run.'),
  kept_per_user_max: integer(1, 100_000)
    .default(defaultProcessJobs.keptPerUserMax)
    .describe('Ended jobs of one user that are kept.'),
  keep: duration({ minMs: 60 * minuteMs, maxMs: 3_650 * dayMs })
    .prefault(`${defaultProcessJobs.keepMs / dayMs}d`)
    .describe('An ended job is kept so long.'),
});

const wormhole = section({
  command: text()
    .regex(/^[^-]/, 'must be a path or a name')
    .describe(
      'Command of Magic Wormhole on the login node or `transfers.node`: `wormhole`, or a path. Name it only where it is.',
    ),
  mailbox_url: text()
    .regex(/^wss?:\/\/\S+$/, 'must be a ws:// or wss:// address')
    .optional()
    .describe('Mailbox server; the command’s own default if not given. Clients must use the same.'),
  transit_relay: text()
    .regex(/^tcp:[^\s:]+:\d{1,5}$/, 'must be tcp:host:port')
    .optional()
    .describe('Transit relay, `tcp:host:port`; the command’s own default if not given.'),
  wait_timeout: duration({ minMs: 1_000, maxMs: 30 * dayMs })
    .prefault('1d')
    .describe('Longest wait for the client.'),
});

/** An entry of `goldcrest.systems`; an empty one gives the defaults. */
export const systemSchema = section({
  host_keys: hostKeys.optional().describe('Keys of the login node; `goldcrest.host_keys` if not given.'),
  proxy_host_keys: hostKeys.optional().describe('Keys of the jump host; `goldcrest.host_keys` if not given.'),
  source_address: addressList()
    .optional()
    .describe(
      'With UserCA: addresses that certificates for the login node may be used from, in place of `ssh_credentials.source_address`; of the jump host, where it is behind one.',
    ),
  connections_per_user_max: integer(1, 64).default(4).describe('Connections of one user from one worker.'),
  channels_per_connection_max: integer(1, 1_000)
    .default(8)
    .describe('Channels on one connection; stay below `MaxSessions` of sshd, which is 10 unless changed.'),
  slot_wait: duration({ minMs: 100, maxMs: 10 * minuteMs })
    .prefault('5s')
    .describe('Longest wait for a channel.'),
  slurmrestd: slurmrestd.prefault({}).describe('Slurm by REST.'),
  process_jobs: processJobs.prefault({}).describe('Jobs of a system without a batch system (`process`).'),
  job_lookup_window: duration({ minMs: 0, maxMs: minuteMs })
    .prefault('1s')
    .describe(
      'When many ask for the state of jobs, the scheduler is asked once in this time and all are answered out of that; 0: every request asks.',
    ),
  service_account_username: text()
    .optional()
    .describe(
      'Cluster user for probes and shared look-ups of jobs; the user of the token that `service_account` gets if not given.',
    ),
  wormhole: wormhole
    .optional()
    .describe('Transfers with `service_type: wormhole`; without it the system has none, and tells of none.'),
  transfers: section({
    mover: z
      .enum(['command', 'job', 'stream'])
      .default('command')
      .describe(
        'What moves bytes: a command on the login node, a batch job with `datatransfer_jobs_directives`, or a worker through which the bytes stream where the cluster cannot reach the store.',
      ),
    node: section({
      host: text().describe(
        'Its name or address, as the workers reach it; by the jump host, where the system has one.',
      ),
      port: integer(1, 65_535).default(22).describe('Port of its SSH server.'),
      host_keys: hostKeys.optional().describe('Keys of the node; those of the login node if not given.'),
    })
      .optional()
      .describe(
        'A data-transfer node on which such work is done in place of the login node, with the same file systems. Batch jobs are submitted at the login node all the same.',
      ),
    bucket_prefix: z
      .string()
      .regex(/^[a-z0-9-]{0,20}$/, 'must be a-z, 0-9, hyphens; 20 at most')
      .default('')
      .describe('Begins the name of every staging bucket; the rest is the username where S3 allows it.'),
    address_style: z
      .enum(['path', 'virtual-host'])
      .default('path')
      .describe(
        'Where a staging bucket stands in the addresses of the store: first in the path, or before the host name, for which the store needs a name for each bucket.',
      ),
    encryption: z
      .enum(['none', 'AES256', 'aws:kms'])
      .default('none')
      .describe('What the store is told to encrypt staged objects with; its own default if `none`.'),
    encryption_key_id: text().optional().describe('Key of `aws:kms`; the store’s default key if not given.'),
    cors_origins: z
      .array(
        text().regex(/^(?:\*|https?:\/\/[^/\s*]+)$/, 'must be an origin, such as https://portal.example.org, or *'),
      )
      .max(100)
      .default([])
      .describe(
        'Web pages of which origins may send and get parts by signed addresses: the CORS rules of each staging bucket. None are set if empty.',
      ),
    direct_to: z
      .array(z.string().min(1))
      .max(100)
      .default([])
      .describe(
        'Systems whose staging store the login nodes of this one reach: copies to them go there, not through the own store.',
      ),
    unpack_size_max: size({ minBytes: 2 ** 20, maxBytes: 2 ** 50 })
      .prefault('1TiB')
      .describe(
        'An archive that unpacks to more, its headers counted, is given up at that point; holes of files are not counted.',
      ),
    unpack_entries_max: integer(1, 1_000_000_000)
      .default(10_000_000)
      .describe('The same of an archive with more files, directories and links than that.'),
  })
    .prefault({})
    .describe('How long work on files is done: copies, archives, transfers through the staging store.'),
});

export type SystemSection = z.output<typeof systemSchema>;
export type HostKeysSection = z.output<typeof hostKeys>;
