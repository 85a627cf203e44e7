/**
 * What signs certificates: a CA key in memory, or one that an ssh-agent keeps and never gives away (which may have it from
 * a PKCS#11 token). Source of the signatures: RFC 4253 section 6.6, RFC 8332 for RSA (SHA-1 is never used), RFC 5656.
 */
import ssh2, { type ParsedKey } from 'ssh2';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { ecdsaBlob, sshString } from '../../../shared/ssh/wire.ts';
import { parsePrivateKey } from './private-key.ts';

/** A CA key that can be used and not read. */
export interface CaSigner {
  /** Wire form of the public key. */
  readonly publicKey: Buffer;
  /** The signature in wire form. Throws SshUnavailable where the agent does not sign now. */
  sign(data: Buffer): Promise<Buffer>;
}

/** How long an agent may take; one that asks somebody to confirm takes longer, and is of no use here. */
const agentTimeoutMs = 5_000;

/** Throws Error when the key cannot be read. */
export function createKeySigner(privateKey: string, passphrase: string | undefined): CaSigner {
  const key = parsePrivateKey(privateKey, passphrase, 'the SSH user CA key');
  return {
    publicKey: key.getPublicSSH(),
    async sign(data) {
      const signed = key.sign(data, isRsa(key) ? 'sha512' : undefined);
      if (!Buffer.isBuffer(signed)) throw new Error('The CA key cannot sign', { cause: signed });
      return signatureOf(key, key.type.startsWith('ecdsa-') ? ecdsaBlob(signed) : signed);
    },
  };
}

/** `publicKey` is the line of a `.pub` file; the agent is asked at each login. Throws Error when that is no key. */
export function createAgentSigner(socketPath: string, publicKey: string): CaSigner {
  const key = ssh2.utils.parseKey(publicKey);
  if (key instanceof Error) throw new Error(`Cannot read the public key of the SSH user CA: ${key.message}`);
  const agent = new ssh2.OpenSSHAgent(socketPath);
  return {
    publicKey: key.getPublicSSH(),
    sign: async (data) =>
      signatureOf(key, await withinTime((done) => agent.sign(key, data, isRsa(key) ? { hash: 'sha512' } : {}, done))),
  };
}

function withinTime(
  ask: (done: (error: Error | null | undefined, signature?: Buffer) => void) => void,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const message = 'The ssh-agent that holds the key of the SSH CA does not sign.';
      reject(new BrokerError('SshUnavailable', message, { cause, detail: { sent: false } }));
    };
    const timer = setTimeout(() => fail(new Error('no answer in time')), agentTimeoutMs);
    ask((error, signature) => {
      clearTimeout(timer);
      if (signature === undefined) fail(error);
      else resolve(signature);
    });
  });
}

function isRsa(key: ParsedKey): boolean {
  return key.type === 'ssh-rsa';
}

function signatureOf(key: ParsedKey, blob: Buffer): Buffer {
  return Buffer.concat([sshString(isRsa(key) ? 'rsa-sha2-512' : key.type), sshString(blob)]);
}
