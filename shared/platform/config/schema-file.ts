/** The whole configuration file: FirecREST v2's keys and the `goldcrest` section. */
import { z } from 'zod';
import type { KnownKeys } from './environment.ts';
import { flag, section, text } from './schema-fields.ts';
import { authSchema, clusterSchema, sshCredentialsSchema } from './schema-firecrest.ts';
import { goldcrestSchema } from './schema-goldcrest.ts';

const logger = section(
  {
    enable_tracing_log: flag()
      .default(false)
      .describe('One line of facts for each request; not written by this version, with a warning.'),
    loggable_request_headers: z
      .array(
        section({ input: text().describe('Request header.'), output: text().describe('Field name.') }, { open: true }),
      )
      .default([])
      .describe('Request headers copied into that line.'),
  },
  { open: true },
);

/** The file, with `clusters` already read where it names a folder. */
export const fileSchema = section({
  app_debug: flag().default(false).describe('Log at level `debug`.'),
  app_version: z.literal('2.x.x').optional().describe('Kept for compatibility.'),
  apis_root_path: z
    .string()
    .trim()
    .transform((path) => path.replace(/\/+$/, ''))
    .refine((path) => path === '' || path.startsWith('/'), 'must begin with a slash, or be empty')
    .default('')
    .describe('Path prefix that a gateway puts in front.'),
  doc_servers: z.array(z.record(z.string(), z.unknown())).nullish().describe('`servers` of the OpenAPI document.'),
  auth: authSchema.optional().describe('Authentication and authorization.'),
  ssh_credentials: sshCredentialsSchema.optional().describe('How to log in as the user.'),
  clusters: z
    .array(clusterSchema)
    .max(1_000)
    .default([])
    .describe('The systems; or `path:/folder`, one `*.yaml` each.'),
  logger: logger.prefault({}).describe('FirecREST’s logging.'),
  goldcrest: goldcrestSchema.prefault({}).describe('What Goldcrest adds.'),
});

export type FileSettings = z.output<typeof fileSchema>;
export type ClusterSettings = FileSettings['clusters'][number];
export type CredentialSettings = NonNullable<FileSettings['ssh_credentials']>;

/** Where variables of the environment may lead. */
export const knownKeys: KnownKeys = {
  goldcrest: Object.keys(goldcrestSchema.shape),
  file: Object.keys(fileSchema.shape),
  cluster: Object.keys(clusterSchema.shape),
};
