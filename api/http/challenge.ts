/** What a 401 says about the tokens that are taken: `WWW-Authenticate` of RFC 6750, RFC 9449 and RFC 9728. */
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';

export type Scheme = 'Bearer' | 'DPoP';

export interface Challenge {
  /** The schemes by which tokens may be sent, at least one. */
  schemes: readonly Scheme[];
  /** How this request's token was sent. */
  used: Scheme;
  /** Signature algorithms of proofs. */
  algorithms: readonly string[];
  /** Where a refused client learns which tokens are taken (RFC 9728); undefined where that is not told. */
  metadataUrl: string | undefined;
}

/** RFC 6750, section 3.1, and RFC 9449, section 12.2; an error is named only when a token was sent. */
const errors: Partial<Record<ErrorCode, string | undefined>> = {
  Unauthenticated: undefined,
  ProofInvalid: 'invalid_dpop_proof',
  ProofNonceRequired: 'use_dpop_nonce',
};

function errorOf({ code, message }: BrokerError): Record<string, string> {
  const error = code in errors ? errors[code] : 'invalid_token';
  return error === undefined ? {} : { error, error_description: message };
}

function written(scheme: Scheme, parameters: Record<string, string | undefined>): string {
  const texts = Object.entries(parameters)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => `${name}="${value.replace(/["\\]/g, "'")}"`);
  return texts.length === 0 ? scheme : `${scheme} ${texts.join(', ')}`;
}

/** The header's value: a challenge for each scheme, the error in that of the scheme that was used. */
export function challengeOf(challenge: Challenge | undefined, error: BrokerError): string {
  const { schemes, used, algorithms, metadataUrl } = challenge ?? bearerOnly;
  const blamed = schemes.includes(used) ? used : schemes[0];
  return schemes
    .map((scheme) =>
      written(scheme, {
        ...(scheme === blamed ? errorOf(error) : {}),
        algs: scheme === 'DPoP' ? algorithms.join(' ') : undefined,
        resource_metadata: metadataUrl,
      }),
    )
    .join(', ');
}

const bearerOnly: Challenge = { schemes: ['Bearer'], used: 'Bearer', algorithms: [], metadataUrl: undefined };
