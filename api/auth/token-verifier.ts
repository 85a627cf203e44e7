/**
 * Verifies access tokens (RFC 7519, RFC 8725, RFC 9068) of several issuers. The unverified `iss` only chooses whose keys
 * are tried; nothing else of a token is believed before its signature is checked.
 */
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { IssuerConfig } from '../../shared/platform/config/config.ts';
import type { Principal } from '../../shared/tasks/task.ts';
import type { SentProof } from './dpop-proof.ts';
import { createIssuerKeys, type IssuerKeys, type KeySnapshot } from './issuer-keys.ts';
import { principalOfClaims } from './principal-of-claims.ts';
import type { ProofChecker } from './proof-checker.ts';
import { bearerRefusal, bindingOf, isBearer, requireProof } from './token-binding.ts';
import { createVerifiedTokens, tokenKey, type VerifiedToken } from './verified-tokens.ts';

/**
 * The caller behind an access token, sent with the DPoP scheme where `sent` is given, else as a bearer token. Throws
 * TokenInvalid, TokenExpired, UsernameClaimMissing, Forbidden (scope), IssuerUnavailable when no key of the issuer is
 * known, and ProofInvalid, ProofNonceRequired and StoreUnavailable for the proof.
 */
export type TokenVerifier = (token: string, sent?: SentProof) => Promise<Principal>;

export interface TokenVerifierOptions {
  issuers: readonly IssuerConfig[];
  checkProof: ProofChecker;
  log: Logger;
  /** Milliseconds since the epoch. */
  now?: () => number;
  /** Verified tokens remembered. */
  cachedTokensMax?: number;
}

interface Issuer {
  config: IssuerConfig;
  keys: IssuerKeys;
}

/** Longest token, characters. */
const tokenCharsMax = 16 * 1024;
/** Longest time a token is believed without a new look at its signature. */
const cachedMs = 60_000;
/** Media types of access tokens (RFC 9068, section 2.1); a missing `typ` is accepted, an ID token's or logout token's is not. */
const acceptedTypes = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);
/** Only asymmetric signatures: with HS* a public key could be used as the secret, `none` is no signature. */
const asymmetric = /^(?:RS|PS|ES)(?:256|384|512)$|^EdDSA$|^Ed25519$/;

function invalid(reason: string, cause?: unknown): BrokerError {
  return new BrokerError('TokenInvalid', 'Access token is invalid.', { cause, detail: { reason } });
}

/** The issuer whose keys to try. Throws TokenInvalid. */
function chooseIssuer(token: string, issuers: ReadonlyMap<string, Issuer>): Issuer {
  if (token.length > tokenCharsMax) throw invalid('too long');
  let header: ReturnType<typeof decodeProtectedHeader>;
  let claims: JWTPayload;
  try {
    header = decodeProtectedHeader(token);
    claims = decodeJwt(token);
  } catch (error) {
    throw invalid('not a signed JWT', error);
  }
  const issuer = issuers.get(claims.iss ?? '');
  if (issuer === undefined) throw invalid('unknown issuer');
  if (header.alg === undefined || !issuer.config.algorithms.includes(header.alg)) throw invalid('algorithm refused');
  if (header.typ !== undefined && !acceptedTypes.has(String(header.typ).toLowerCase())) throw invalid('type refused');
  return issuer;
}

function verifyOptions(config: IssuerConfig, nowMs: number) {
  return {
    issuer: config.issuer,
    ...(config.acceptAnyAudience ? {} : { audience: config.audiences }),
    algorithms: config.algorithms,
    clockTolerance: config.clockSkewSeconds,
    currentDate: new Date(nowMs),
    requiredClaims: ['exp'],
  };
}

/** A token without `kid` may fit several keys of the set; each is tried, in order. */
async function verifyWithKeys(
  token: string,
  issuer: Issuer,
  snapshot: KeySnapshot,
  nowMs: number,
): Promise<JWTPayload> {
  const options = verifyOptions(issuer.config, nowMs);
  try {
    return (await jwtVerify(token, snapshot.find, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (attempt) {
        if (!(attempt instanceof errors.JWSSignatureVerificationFailed)) throw attempt;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** Verifies with the known keys; when none of them fits, once more with newer ones. */
async function verifySignature(token: string, issuer: Issuer, nowMs: number) {
  const known = await issuer.keys.keys();
  try {
    return { claims: await verifyWithKeys(token, issuer, known, nowMs), keysVersion: known.version };
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    const newer = await issuer.keys.newerThan(known);
    if (newer.version === known.version) throw error;
    return { claims: await verifyWithKeys(token, issuer, newer, nowMs), keysVersion: newer.version };
  }
}

function tokenError(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new BrokerError('TokenExpired', 'Access token expired');
  if (error instanceof errors.JOSEError) return invalid(error.code, error);
  return error;
}

/** Clients renew some seconds before the end; a token that ends while its task is still queued is of no use. */
function checkRemainingLife(claims: JWTPayload, config: IssuerConfig, nowMs: number): void {
  const { minimumLifeSeconds } = config;
  const remainingSeconds = (claims.exp ?? 0) - nowMs / 1000;
  if (remainingSeconds >= minimumLifeSeconds || minimumLifeSeconds <= 0) return;
  if (remainingSeconds <= 0) throw new BrokerError('TokenExpired', 'Access token expired');
  throw new BrokerError('TokenExpired', `Access token expires too soon (less than ${minimumLifeSeconds}s remaining).`);
}

function createIssuers(options: TokenVerifierOptions, now: () => number): Map<string, Issuer> {
  return new Map(
    options.issuers.map((config) => {
      const algorithms = config.algorithms.filter((algorithm) => asymmetric.test(algorithm));
      const keys = createIssuerKeys({ issuer: config.issuer, jwksUrls: config.jwksUrls, log: options.log, now });
      return [config.issuer, { config: { ...config, algorithms }, keys }];
    }),
  );
}

/** Fetches nothing until the first token comes. Safe to call concurrently. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const now = options.now ?? Date.now;
  const issuers = createIssuers(options, now);
  const verified = createVerifiedTokens(options.cachedTokensMax ?? 10_000);
  /** Requests that bring the same new token at the same time share one verification. */
  const running = new Map<string, Promise<VerifiedToken>>();

  const verify = async (token: string, key: string): Promise<VerifiedToken> => {
    const issuer = chooseIssuer(token, issuers);
    const nowMs = now();
    let signed: Awaited<ReturnType<typeof verifySignature>>;
    try {
      signed = await verifySignature(token, issuer, nowMs);
    } catch (error) {
      throw tokenError(error);
    }
    const { claims, keysVersion } = signed;
    checkRemainingLife(claims, issuer.config, nowMs);
    const principal = principalOfClaims(claims, issuer.config);
    const binding = bindingOf(claims, issuer.config);
    const usableUntilMs = ((claims.exp ?? 0) - Math.max(0, issuer.config.minimumLifeSeconds)) * 1000;
    const untilMs = Math.min(usableUntilMs, nowMs + cachedMs);
    const result = { principal, binding, untilMs, keys: issuer.keys, keysVersion };
    verified.remember(key, result);
    return result;
  };

  const admit = async (found: VerifiedToken, token: string, sent: SentProof | undefined): Promise<Principal> => {
    const { principal, binding } = found;
    if (sent !== undefined) await requireProof(binding, options.checkProof, { token, sent });
    else if (!isBearer(binding)) throw bearerRefusal(binding);
    return principal;
  };

  const verifyOnce = (token: string, key: string): Promise<VerifiedToken> => {
    let attempt = running.get(key);
    if (attempt === undefined) {
      attempt = verify(token, key).finally(() => running.delete(key));
      running.set(key, attempt);
    }
    return attempt;
  };

  return (token, sent) => {
    const key = tokenKey(token);
    const known = verified.find(key, now());
    if (known === undefined) return verifyOnce(token, key).then((found) => admit(found, token, sent));
    if (sent === undefined && isBearer(known.binding)) return Promise.resolve(known.principal);
    return admit(known, token, sent);
  };
}
