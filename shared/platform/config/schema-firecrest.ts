/**
 * FirecREST v2's own part of the configuration file (its configuration reference, version 2.5). Keys that FirecREST
 * ignores where they stand are ignored here too, with a warning. Durations are seconds, as there.
 */
import { posix } from 'node:path';
import { z } from 'zod';
import { addressList, flag, integer, port, secret, section, text, textList, webAddress } from './schema-fields.ts';

const open = { open: true };
const daySeconds = 86_400;

/** What a token must still live. Less than the 10 s before its end at which pyfirecrest renews, by time on the way. */
export const tokenLifeSeconds = 5;

/** What to say when the key that tells the kinds apart is wrong; other issues keep their own words. */
function oneOf(kinds: string) {
  return (issue: { code: string }) => (issue.code === 'invalid_union' ? `must be one of: ${kinds}` : undefined);
}

const sshTimeout = section(
  {
    connection: integer(1, 3_600).default(5).describe('Seconds until the TCP connection and key exchange must stand.'),
    login: integer(1, 3_600).default(5).describe('Seconds for the login.'),
    command_execution: integer(1, daySeconds).default(5).describe('Seconds a command may run.'),
    idle_timeout: integer(1, daySeconds).default(60).describe('Seconds after which an unused connection is closed.'),
    keep_alive: integer(0, 3_600).default(5).describe('Seconds between keep-alive messages; 0 turns them off.'),
  },
  open,
);

const ssh = section(
  {
    host: text().describe('Login node.'),
    port: port().describe('Its SSH port.'),
    proxy_host: text().nullish().describe('Jump host.'),
    proxy_port: port().nullish().describe('SSH port of the jump host; 22 if not given.'),
    max_clients: integer(1, 100_000).default(100).describe('Connections to the system over all users.'),
    timeout: sshTimeout.prefault({}).describe('Time limits of SSH.'),
  },
  open,
);

const scheduler = section(
  {
    type: z
      .enum(['slurm', 'pbs', 'process'])
      .describe('Batch system. `process` is an addition: no batch system, a process group on the host.'),
    version: text().optional().describe('Version of the batch system; required but for `process`.'),
    connection_mode: z
      .enum(['ssh', 'rest', 'hybrid'])
      .default('ssh')
      .describe(
        'Only with Slurm: `rest` by slurmrestd alone, `hybrid` by slurmrestd and, for what it lacks, by commands.',
      ),
    api_url: webAddress().nullish().describe('Address of slurmrestd; required for `rest` and `hybrid`.'),
    api_version: text()
      .nullish()
      .describe('Version of its API, such as `0.0.38`; the newest that it speaks if not given.'),
    timeout: integer(1, 3_600).nullable().default(10).describe('Seconds for one request to the batch system.'),
  },
  open,
).superRefine((value, context) => {
  if (value.type !== 'process' && value.version === undefined) {
    context.addIssue({ code: 'custom', path: ['version'], message: 'is required' });
  }
  if (value.type !== 'slurm' && value.connection_mode !== 'ssh') {
    const message = `must be ssh: ${value.type} has no other way`;
    context.addIssue({ code: 'custom', path: ['connection_mode'], message });
  }
  if (value.connection_mode !== 'ssh' && !value.api_url) {
    const message = `is required when connection_mode is ${value.connection_mode}`;
    context.addIssue({ code: 'custom', path: ['api_url'], message });
  }
});

const probe = section(
  { timeout: integer(1, 3_600).default(10).describe('Seconds its login, and its look, may take each.') },
  open,
);

const probing = section(
  {
    interval_check: integer(1, daySeconds).default(120).describe('Seconds between probes. Alias: `interval`.'),
    services: section(
      {
        ssh: probe.optional().describe('Probe the login.'),
        scheduler: probe.optional().describe('Probe the batch system.'),
        filesystem: probe.optional().describe('Probe every file system. Alias: `filesystems`.'),
        s3: probe.optional().describe('Probe the staging store. Alias: `storage`.'),
      },
      open,
    )
      .nullish()
      .describe('Only services named here are probed.'),
  },
  open,
);

const fileSystem = section(
  {
    path: z
      .string()
      .refine((path) => path.startsWith('/'), 'must be an absolute path')
      .transform((path) => posix.normalize(path).replace(/(.)\/+$/, '$1'))
      .describe('Where it is mounted; absolute.'),
    data_type: z.enum(['users', 'store', 'archive', 'apps', 'scratch', 'project']).describe('What it is for.'),
    default_work_dir: flag().default(false).describe('Transfer jobs run in `<path>/<username>` of this one.'),
  },
  open,
);

const partBytesMax = 5 * 2 ** 30;

const s3 = section(
  {
    service_type: z.literal('s3').describe('Staging in an S3 store.'),
    name: text().describe('Name shown to clients.'),
    private_url: secret().describe('Endpoint that workers and cluster use.'),
    public_url: webAddress().describe('Endpoint that clients use; presigned URLs name it.'),
    access_key_id: secret().describe('Access key.'),
    secret_access_key: secret().describe('Its secret.'),
    region: text().describe('Region, as the store names it.'),
    ttl: integer(1, 7 * daySeconds).describe('Seconds a presigned URL is valid; 7 days at most.'),
    tenant: text().nullish().describe('Ceph tenant.'),
    multipart: section(
      {
        use_split: flag().default(false).describe('Kept for compatibility; parts are never split on disk.'),
        max_part_size: integer(1, partBytesMax)
          .default(2 * 2 ** 30)
          .describe('Bytes of a part; at least 5 MiB are used, and more where there would be over 1,000 parts.'),
        parallel_runs: integer(1, 64).default(8).describe('Parts moved at the same time.'),
        tmp_folder: text().default('tmp').describe('Kept for compatibility; no temporary copies are made.'),
      },
      open,
    )
      .prefault({})
      .describe('Uploads in parts.'),
    bucket_lifecycle_configuration: section(
      { days: integer(1, 3_650).default(10).describe('Days after which objects expire.') },
      open,
    )
      .prefault({})
      .describe('Expiry of staged objects.'),
  },
  open,
);

const streamer = section(
  {
    service_type: z
      .literal('streamer')
      .describe(
        'Transfers by FirecREST’s streamer; needs a sealing key of `goldcrest.tokens` or `goldcrest.webhooks`.',
      ),
    pypi_index_url: webAddress().nullish().describe('Kept for compatibility; nothing is installed.'),
    host: text().nullish().describe('Address that the streamer listens at; all of its host if not given.'),
    port_range: z
      .array(port())
      .length(2, 'must be two ports, first and last')
      .refine(([first = 0, last = 0]) => first <= last, 'must not end before it begins')
      .default([5665, 5675])
      .describe('First and last port.'),
    public_ips: textList().nullish().describe('Addresses clients use; `localhost` if not given.'),
    wait_timeout: integer(1, 30 * daySeconds)
      .default(daySeconds)
      .describe('Seconds to wait for the client.'),
    inbound_transfer_limit: integer(1, Number.MAX_SAFE_INTEGER)
      .default(5 * 2 ** 30)
      .describe('Bytes at most.'),
  },
  open,
);

const wormhole = section(
  {
    service_type: z
      .literal('wormhole')
      .describe(
        'Transfers through Magic Wormhole; needs `goldcrest.systems.<name>.wormhole`, and a sealing key of `goldcrest.tokens` or `goldcrest.webhooks`.',
      ),
    pypi_index_url: webAddress().nullish().describe('Kept for compatibility; nothing is installed.'),
  },
  open,
);

const dataOperation = section(
  {
    max_ops_file_size: integer(1, 2 ** 30)
      .default(5 * 2 ** 20)
      .describe('Bytes of a direct upload or download.'),
    datatransfer_jobs_directives: z
      .array(z.string())
      .max(100)
      .default([])
      .describe('Lines on top of transfer jobs; `{account}` is filled in.'),
    data_transfer: z
      .discriminatedUnion('service_type', [s3, streamer, wormhole], { error: oneOf('s3, streamer, wormhole') })
      .nullish()
      .describe('How large files move.'),
  },
  open,
);

/** A cluster of FirecREST's `clusters` list. */
export const clusterSchema = section(
  {
    name: z
      .string()
      .trim()
      .toLowerCase()
      .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be letters, digits, dots, hyphens, underscores; 64 at most')
      .describe('Name in the path of requests; lower-cased.'),
    ssh: ssh.describe('How the login node is reached.'),
    scheduler: scheduler.describe('The batch system.'),
    service_account: section(
      { client_id: text().describe('OAuth client.'), secret: secret().describe('Its secret.') },
      open,
    )
      .nullish()
      .describe(
        'Account for probes: an OAuth client at `token_url`, whose token names its user on the cluster. Not asked where `goldcrest.systems.<name>.service_account_username` is given.',
      ),
    probing: probing.prefault({}).describe('Health probes.'),
    file_systems: z.array(fileSystem).max(1_000).default([]).describe('Paths outside these are refused.'),
    data_operation: dataOperation.prefault({}).describe('Limits and transfers.'),
  },
  open,
);

/** Signature algorithms that can be accepted (RFC 7518, RFC 8037): those with a public key. */
export const signatureAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** FirecREST's `auth`. */
export const authSchema = section(
  {
    authentication: section(
      {
        token_url: webAddress().describe('Token endpoint.'),
        scopes: z.record(z.string(), z.string()).default({}).describe('Scopes for the OpenAPI document.'),
        token_endpoint_auth_method: z
          .enum(['client_secret_basic', 'client_secret_post'])
          .default('client_secret_basic')
          .describe('How service accounts authenticate there.'),
        public_certs: z
          .array(text().regex(/^(https?|file):\/\//, 'must be an http://, https:// or file:// address'))
          .default([])
          .describe('Key sets (JWKS) of the first issuer.'),
        username_claim: text().default('preferred_username').describe('Claim that holds the cluster username.'),
        jwk_algorithm: z.enum(signatureAlgorithms).nullish().describe('The one signature algorithm to accept.'),
        min_token_ttl: integer(0, daySeconds)
          .default(tokenLifeSeconds)
          .describe(
            'Seconds a token must still be valid. Not FirecREST’s 30: pyfirecrest renews its token 10 s before the end.',
          ),
      },
      open,
    ).describe('OpenID Connect.'),
    authorization: section(
      {
        url: webAddress().describe('Address of OpenFGA.'),
        timeout: integer(1, 60).nullable().default(1).describe('Seconds for one check.'),
        max_connections: integer(0, 10_000).default(100).describe('Connections to it; 0: 1,000.'),
      },
      open,
    )
      .nullish()
      .describe('Authorization by OpenFGA, with `goldcrest.authorization.store_id`.'),
  },
  open,
);

const staticKey = section(
  {
    private_key: secret().describe('Private key.'),
    public_cert: secret().nullish().describe('OpenSSH user certificate.'),
    passphrase: secret().nullish().describe('Passphrase of the key.'),
  },
  open,
);

const credentialService = {
  url: webAddress().describe('Address of the service.'),
  max_connections: integer(0, 10_000).default(100).describe('Connections to it; 0: 1,000.'),
};

/** FirecREST's `ssh_credentials`, and the CA key held by the worker that Goldcrest adds. */
export const sshCredentialsSchema = z.discriminatedUnion(
  'type',
  [
    section(
      {
        type: z
          .literal('SSHService')
          .describe('Keys from a key service, which is shown the user’s token; needs `goldcrest.tokens.sealing_keys`.'),
        ...credentialService,
      },
      open,
    ),
    section(
      {
        type: z
          .literal('SSHCA')
          .describe(
            'Certificates from a CA service, which is shown the user’s token; needs `goldcrest.tokens.sealing_keys`.',
          ),
        ...credentialService,
      },
      open,
    ),
    section(
      {
        type: z.literal('SSHStaticKeys').describe('Keys given here.'),
        keys: z.record(text(), staticKey).describe('By username.'),
      },
      open,
    ),
    section({
      type: z
        .literal('UserCA')
        .describe('Addition: the worker signs a fresh key for each login with a CA key it holds.'),
      private_key: secret().optional().describe('Private key of the CA, OpenSSH format; this or `agent_socket`.'),
      agent_socket: text()
        .optional()
        .describe('Socket of an ssh-agent that holds the key, from a file or a PKCS#11 token; with `public_key`.'),
      public_key: text().optional().describe('Public key of the CA that the agent is to sign with, one line.'),
      passphrase: secret().nullish().describe('Passphrase of the key.'),
      validity_seconds: integer(30, daySeconds).default(300).describe('Seconds a certificate is valid.'),
      source_address: addressList()
        .nullish()
        .describe('Addresses the certificate may be used from, separated by commas; behind a jump host, its own.'),
      jump_source_address: addressList()
        .nullish()
        .describe('The same of the certificate for the jump host: the workers’ own.'),
    }),
  ],
  { error: oneOf('SSHService, SSHCA, SSHStaticKeys, UserCA') },
);
