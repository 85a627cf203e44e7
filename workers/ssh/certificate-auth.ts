/**
 * Login with an OpenSSH user certificate over ssh2, which has no notion of them: its publickey request writes one
 * algorithm name outside and inside the signature, where a certificate needs its own name outside and the key's name
 * inside. This file replaces that one method on one client and reaches into ssh2 1.17.0 to do it, hence the exact pin.
 */
import { createRequire } from 'node:module';
import type { Client, ParsedKey } from 'ssh2';
import { ecdsaBlob, sshString } from '../../shared/ssh/wire.ts';

/** The part of ssh2's protocol object that is used here. */
interface Protocol {
  authPK(username: string, key: CertifiedKey, algorithm?: unknown, sign?: unknown): void;
  readonly _kex: { readonly sessionID: Buffer };
  readonly _authsQueue: string[];
  readonly _packetRW: {
    readonly write: { readonly allocStart: number; alloc(size: number): Buffer; finalize(packet: Buffer): Buffer };
  };
}

interface Certificate {
  readonly blob: Buffer;
  /** Outside the signature. */
  readonly algorithm: string;
  /** Inside it. */
  readonly signatureAlgorithm: string;
  readonly hash: string | undefined;
  readonly key: ParsedKey;
}

type CertifiedKey = ParsedKey & { readonly certificate?: Certificate };

const require = createRequire(import.meta.url);
const userauthRequest = 50;

/** A key that ssh2 takes for a parsed one, carrying its certificate. Throws Error when the text is no certificate. */
export function certifiedKey(key: ParsedKey, certificateText: string): ParsedKey {
  const [type, base64] = certificateText.trim().split(/\s+/);
  if (!type?.endsWith('-cert-v01@openssh.com') || base64 === undefined) {
    throw new Error('The text is not an OpenSSH certificate');
  }
  const isRsa = type.startsWith('ssh-rsa');
  const certificate: Certificate = {
    blob: Buffer.from(base64, 'base64'),
    algorithm: isRsa ? 'rsa-sha2-512-cert-v01@openssh.com' : type,
    signatureAlgorithm: isRsa ? 'rsa-sha2-512' : key.type,
    hash: isRsa ? 'sha512' : undefined,
    key,
  };
  // The type must not be `ssh-rsa`, or ssh2 would choose a signature algorithm of its own.
  return Object.create(key, { type: { value: type }, certificate: { value: certificate } }) as ParsedKey;
}

/** Call right after `client.connect()`; keys without a certificate go the ordinary way. */
export function enableCertificates(client: Client): void {
  const protocol = (client as unknown as { _protocol: Protocol })._protocol;
  const plain = protocol.authPK.bind(protocol);
  protocol.authPK = (username, key, algorithm, sign) => {
    const { certificate } = key;
    if (certificate === undefined) plain(username, key, algorithm, sign);
    else if (sign === undefined && typeof algorithm !== 'function') send(protocol, request(username, certificate, 0));
    else send(protocol, signedRequest(protocol, username, certificate));
  };
}

/** RFC 4252 section 7. */
function request(username: string, certificate: Certificate, flag: 0 | 1): Buffer {
  return Buffer.concat([
    Buffer.from([userauthRequest]),
    ...[username, 'ssh-connection', 'publickey'].map(sshString),
    Buffer.from([flag]),
    sshString(certificate.algorithm),
    sshString(certificate.blob),
  ]);
}

function signedRequest(protocol: Protocol, username: string, certificate: Certificate): Buffer {
  const body = request(username, certificate, 1);
  const { key, hash, signatureAlgorithm } = certificate;
  const signed = key.sign(Buffer.concat([sshString(protocol._kex.sessionID), body]), hash);
  if (!Buffer.isBuffer(signed)) throw new Error('The key cannot sign', { cause: signed });
  const blob = key.type.startsWith('ecdsa-') ? ecdsaBlob(signed) : signed;
  return Buffer.concat([body, sshString(Buffer.concat([sshString(signatureAlgorithm), sshString(blob)]))]);
}

function send(protocol: Protocol, payload: Buffer): void {
  const { sendPacket } = require('ssh2/lib/protocol/utils.js') as {
    sendPacket(protocol: Protocol, packet: Buffer): void;
  };
  const { write } = protocol._packetRW;
  const start = write.allocStart;
  const packet = write.alloc(payload.length);
  packet.set(payload, start);
  protocol._authsQueue.push('publickey');
  sendPacket(protocol, write.finalize(packet));
}
