/** Signatures as SSH writes them (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709), checked with Node's own crypto. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readWire } from './wire.ts';

interface Algorithm {
  readonly keyType: string;
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null;
  /** Of an elliptic curve: bytes of a coordinate. */
  readonly coordinateBytes?: number;
}

/** RSA with SHA-1 (`ssh-rsa`) is not among them, nor are keys that live in security keys (`sk-…`). */
const algorithms: ReadonlyMap<string, Algorithm> = new Map([
  ['ssh-ed25519', { keyType: 'ssh-ed25519', hash: null }],
  ['ecdsa-sha2-nistp256', { keyType: 'ecdsa-sha2-nistp256', hash: 'sha256', coordinateBytes: 32 }],
  ['ecdsa-sha2-nistp384', { keyType: 'ecdsa-sha2-nistp384', hash: 'sha384', coordinateBytes: 48 }],
  ['ecdsa-sha2-nistp521', { keyType: 'ecdsa-sha2-nistp521', hash: 'sha512', coordinateBytes: 66 }],
  ['rsa-sha2-256', { keyType: 'ssh-rsa', hash: 'sha256' }],
  ['rsa-sha2-512', { keyType: 'ssh-rsa', hash: 'sha512' }],
]);

const curves: Readonly<Record<string, string>> = { nistp256: 'P-256', nistp384: 'P-384', nistp521: 'P-521' };

/** Both in their wire form. False as well where either cannot be read, or is of a kind that is not taken. */
export function isSignedBy(publicKey: Buffer, data: Buffer, signature: Buffer): boolean {
  try {
    return check(publicKey, data, signature);
  } catch {
    return false; // whatever is wrong with them, it is no signature of that key
  }
}

function check(publicKey: Buffer, data: Buffer, signature: Buffer): boolean {
  const key = readWire(publicKey);
  const keyType = key.string().toString('latin1');
  const signed = readWire(signature);
  const algorithm = algorithms.get(signed.string().toString('latin1'));
  const value = signed.string();
  if (algorithm === undefined || algorithm.keyType !== keyType || signed.remaining !== 0) return false;
  const object = keyObject(keyType, key);
  const { hash, coordinateBytes } = algorithm;
  if (coordinateBytes === undefined) return verify(hash, data, object, value);
  const numbers = readWire(value);
  const pair = [numbers.string(), numbers.string()].map((number) => padded(number, coordinateBytes));
  return verify(hash, data, { key: object, dsaEncoding: 'ieee-p1363' }, Buffer.concat(pair));
}

function keyObject(type: string, key: ReturnType<typeof readWire>): KeyObject {
  const text = (bytes: Buffer) => bytes.toString('base64url');
  if (type === 'ssh-ed25519') {
    return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text(key.string()) } });
  }
  if (type === 'ssh-rsa') {
    const e = text(key.string());
    return createPublicKey({ format: 'jwk', key: { kty: 'RSA', e, n: text(withoutZeros(key.string())) } });
  }
  const crv = curves[key.string().toString('latin1')] ?? '';
  const point = key.string();
  // Uncompressed, as all of SSH's are (RFC 5656 section 3.1).
  if (point[0] !== 4) throw new TypeError('the point is compressed');
  const middle = (point.length + 1) / 2;
  const [x, y] = [text(point.subarray(1, middle)), text(point.subarray(middle))];
  return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv, x, y } });
}

function withoutZeros(number: Buffer): Buffer {
  const first = number.findIndex((byte) => byte !== 0);
  return first === -1 ? Buffer.alloc(0) : number.subarray(first);
}

/** An mpint as a number of fixed length. */
function padded(number: Buffer, bytes: number): Buffer {
  const digits = withoutZeros(number);
  if (digits.length > bytes) throw new RangeError('the number is too long');
  return Buffer.concat([Buffer.alloc(bytes - digits.length), digits]);
}
