/** Tokens of an issuer of the test's own: good ones, and every forgery that a careless verifier would take. */
import { createPublicKey } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';

export const testIssuer = { issuer: 'https://issuer.test', audience: 'goldcrest-test', username: 'gcalice' };

interface Refusal {
  /** What the Authorization header says; null: no such header. */
  authorization: string | null;
  status: number;
  message: RegExp;
}

export interface TokenTable {
  /** Public keys, as the issuer publishes them. */
  jwks: { keys: unknown[] };
  good: string;
  /** By what is wrong with it. */
  refused: Record<string, Refusal>;
}

export async function createTokenTable(): Promise<TokenTable> {
  const own = await generateKeyPair('RS256', { extractable: true });
  const foreign = await generateKeyPair('RS256', { extractable: true });
  const publicJwk = { ...(await exportJWK(own.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const publicPem = createPublicKey({ key: publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const claims: JWTPayload = {
    iss: testIssuer.issuer,
    aud: testIssuer.audience,
    sub: 'alice',
    preferred_username: testIssuer.username,
    iat: nowSeconds - 60,
    exp: nowSeconds + 600,
  };
  const sign = (change: Record<string, unknown> = {}, header: Record<string, unknown> = {}, key = own.privateKey) =>
    new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(key);
  const hmac = new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256', kid: 'k1' });
  const good = await sign();
  const [header = '', , signature = ''] = good.split('.');
  const altered = Buffer.from(JSON.stringify({ ...claims, preferred_username: 'gcbob' })).toString('base64url');
  const foreignJwk = await exportJWK(foreign.publicKey);

  const refuse = (token: string, message = /^Access token is invalid\.$/, status = 401): Refusal => ({
    authorization: `Bearer ${token}`,
    status,
    message,
  });
  const expired = /^Access token expired$/;
  const refused: Record<string, Refusal> = {
    'no token': { authorization: null, status: 401, message: /^Not authenticated$/ },
    'another scheme': {
      authorization: `Basic ${btoa('alice:secret')}`,
      status: 401,
      message: /^Invalid authentication credentials$/,
    },
    garbage: refuse('garbage'),
    'three parts of garbage': refuse('a.b.c'),
    expired: refuse(await sign({ exp: nowSeconds - 60 }), expired),
    'no expiry': refuse(await sign({ exp: undefined })),
    'not yet valid': refuse(await sign({ nbf: nowSeconds + 600 })),
    'wrong audience': refuse(await sign({ aud: 'somebody-else' })),
    'no audience': refuse(await sign({ aud: undefined })),
    'other issuer': refuse(await sign({ iss: 'https://other.test' })),
    'no issuer': refuse(await sign({ iss: undefined })),
    'alg none': refuse(new UnsecuredJWT(claims).encode()),
    'HS256 with the public key as secret': refuse(await hmac.sign(Buffer.from(publicPem))),
    'the signature of another key': refuse(await sign({}, {}, foreign.privateKey)),
    'a key of its own in the header': refuse(await sign({}, { jwk: foreignJwk }, foreign.privateKey)),
    'a key that the issuer does not have': refuse(await sign({}, { kid: 'k2' }, foreign.privateKey)),
    'claims changed after signing': refuse(`${header}.${altered}.${signature}`),
    'no signature': refuse(`${header}.${good.split('.')[1]}.`),
    'an extension nobody knows': refuse(
      await sign({}, { crit: ['x'], x: 1 }).catch(() => `${header}.e30.${signature}`),
    ),
    'a token of another kind': refuse(await sign({}, { typ: 'logout+jwt' })),
    'a token that is bound to a key': refuse(await sign({ cnf: { jkt: 'a'.repeat(43) } }), /bound to a key/),
    'a good token under DPoP, which is off': {
      authorization: `DPoP ${good}`,
      status: 401,
      message: /^Invalid authentication credentials$/,
    },
    'a token of 20,000 characters': refuse(await sign({ padding: 'x'.repeat(14_000) })),
    'no user name': refuse(await sign({ preferred_username: undefined }), /preferred_username/, 400),
    'a user name that is an option': refuse(await sign({ preferred_username: '-oProxyCommand=x' }), /user name/, 400),
    'a user name with a command': refuse(await sign({ preferred_username: '$(id)' }), /user name/, 400),
    'the user root': refuse(await sign({ preferred_username: 'root' }), /root may not/, 403),
  };
  return { jwks: { keys: [publicJwk] }, good, refused };
}
