/** An entry of `goldcrest.issuers`: whose tokens are taken, and what they must be like. */
import { z } from 'zod';
import { clusterUsername } from '../../auth/cluster-username.ts';
import { duration, flag, section, text, textList, webAddress } from './schema-fields.ts';
import { signatureAlgorithms } from './schema-firecrest.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

function hasOneGroup(pattern: string): boolean {
  try {
    return new RegExp(`${pattern}|`).exec('')?.length === 2;
  } catch {
    return false;
  }
}

export const issuer = section({
  issuer: text().optional().describe('The `iss` claim of tokens, exactly. Required.'),
  audiences: textList().optional().describe('One of these must be in `aud`. Required.'),
  accept_any_audience: flag().default(false).describe('For development only: do not look at `aud`.'),
  jwks_urls: textList()
    .optional()
    .describe('Key sets. First issuer: `public_certs`, else OpenID discovery if not given.'),
  algorithms: z
    .array(z.enum(signatureAlgorithms))
    .min(1)
    .optional()
    .describe('Signature algorithms; all asymmetric ones if not given.'),
  username_claim: text().optional().describe('Claim that holds the cluster username; as in `auth` if not given.'),
  usernames: z
    .record(z.string().min(1).max(1_000), text().regex(clusterUsername, 'must be a user name of the clusters'))
    .default({})
    .describe('Cluster username by the value of the claim, where they differ; a value that is not here is refused.'),
  username_pattern: text()
    .max(500)
    .refine(hasOneGroup, 'must be a regular expression with one group, such as ^([a-z0-9]+)@example\\.org$')
    .optional()
    .describe(
      'Regular expression with one group, which is the cluster username, for a claim such as an e-mail address: `^([a-z0-9]+)@example\\.org$`. It must match from the first character to the last; a value that does not, and is not in `usernames`, is refused.',
    ),
  required_scopes: textList().default([]).describe('All of these must be in `scope`.'),
  clock_skew: duration({ minMs: 0, maxMs: 5 * minuteMs })
    .prefault('5s')
    .describe('Difference of clocks to allow.'),
  minimum_life: duration({ minMs: 0, maxMs: dayMs })
    .optional()
    .describe('A token must still be valid so long; `min_token_ttl` if not given, or 5s.'),
  dpop: z
    .enum(['off', 'allowed', 'required'])
    .default('off')
    .describe(
      'Proof of possession (RFC 9449): whether tokens that are bound to a key are taken with a proof, or only such tokens. Needs `api.public_url`. A bound token is never taken as a bearer token.',
    ),
  dpop_nonce: flag()
    .default(false)
    .describe('Proofs must carry a nonce of ours, so that none can be made in advance; clients are told it.'),
  token_url: webAddress().optional().describe('Token endpoint. First issuer: as in `auth` if not given.'),
  token_endpoint_auth_method: z
    .enum(['client_secret_basic', 'client_secret_post'])
    .optional()
    .describe('How service accounts authenticate there.'),
  scopes: z.record(z.string(), z.string()).optional().describe('Scopes for the OpenAPI document.'),
});

export type IssuerSection = z.output<typeof issuer>;
