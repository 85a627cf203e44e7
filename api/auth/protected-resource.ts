/**
 * Where clients learn which issuers' tokens this API takes, and how they are sent (RFC 9728, RFC 9449). It is told only under a configured public address:
 * the metadata names the API by it, and a request's Host header is the caller's word.
 */
import type { AppConfig, AppContext } from '../http/app-env.ts';
import { jsonResponse } from '../http/json-response.ts';
import { proofAlgorithms } from './dpop-proof.ts';
import { schemesOf } from './token-binding.ts';

type ResourceConfig = Pick<AppConfig, 'api' | 'authentication'>;

export interface ProtectedResource {
  /** Path of the metadata on this server: section 3.1 puts the API's own path behind the well-known one. */
  path: string;
  /** Address of the metadata, for the `resource_metadata` parameter of a challenge (section 5.1). */
  metadataUrl: string;
  serve: (c: AppContext) => Response;
}

/** Undefined where the public address is not known. */
export function describeProtectedResource({ api, authentication }: ResourceConfig): ProtectedResource | undefined {
  if (api.publicUrl === null) return undefined;
  const { origin, pathname } = new URL(api.publicUrl);
  const path = `/.well-known/oauth-protected-resource${pathname.replace(/\/+$/, '')}`;
  const { issuers } = authentication;
  const scopes = [...new Set(issuers.flatMap((each) => [...each.requiredScopes, ...Object.keys(each.scopes)]))];
  const schemes = schemesOf(issuers);
  const metadata = {
    resource: api.publicUrl,
    authorization_servers: issuers.map(({ issuer }) => issuer),
    ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
    bearer_methods_supported: schemes.includes('Bearer') ? ['header'] : [],
    ...(schemes.includes('DPoP') ? { dpop_signing_alg_values_supported: proofAlgorithms } : {}),
    ...(schemes.includes('Bearer') ? {} : { dpop_bound_access_tokens_required: true }),
    resource_name: 'Goldcrest',
    resource_documentation: `${api.publicUrl}/docs`,
  };
  // Paths are routed in lower case; the address in the challenge keeps its own.
  return { path: path.toLowerCase(), metadataUrl: `${origin}${path}`, serve: (c) => jsonResponse(c, 200, metadata) };
}
