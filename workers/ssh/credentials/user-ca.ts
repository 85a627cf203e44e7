/** A CA key held by the worker, or by an ssh-agent beside it: each login gets a key made in memory and a certificate for one user, for minutes. */
import type { ParsedKey } from 'ssh2';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { createAgentSigner, createKeySigner } from './ca-signer.ts';
import type { CredentialProvider } from './credential-provider.ts';
import { createKey } from './new-key.ts';
import { signUserCertificate } from './openssh-certificate.ts';

export type UserCaOptions = CaKeyOptions & CertificateOptions;

type CaKeyOptions =
  | {
      /** OpenSSH private key text: ed25519, ecdsa or rsa. */
      readonly caPrivateKey: string;
      readonly passphrase?: string | undefined;
    }
  | {
      /** Socket of an ssh-agent that holds the key, and the line of its public half. */
      readonly agentSocket: string;
      readonly caPublicKey: string;
    };

interface CertificateOptions {
  /** Life of a certificate; connections are replaced at its end. Default 15 minutes. */
  readonly validityMs?: number | undefined;
  /** CIDR list of the broker's own addresses, as the login node sees them. */
  readonly sourceAddress?: string | undefined;
  /** The same for the jump host. Without a jump host the target sees the broker; with one, it sees the jump host. */
  readonly jumpSourceAddress?: string | undefined;
}

/** How far a login node's clock may be behind ours. */
const clockSkewSeconds = 120;

/** Throws Error when the CA key cannot be read. */
export function createUserCa(options: UserCaOptions): CredentialProvider {
  const ca =
    'agentSocket' in options
      ? createAgentSigner(options.agentSocket, options.caPublicKey)
      : createKeySigner(options.caPrivateKey, options.passphrase);
  const validityMs = options.validityMs ?? 15 * 60_000;

  async function certificates(key: ParsedKey, username: string, keyId: string, expiresAt: number) {
    const content = {
      keyId,
      principal: username,
      validAfter: Math.floor(Date.now() / 1000) - clockSkewSeconds,
      validBefore: Math.floor(expiresAt / 1000),
    };
    const { sourceAddress, jumpSourceAddress } = options;
    return {
      certificate: await signUserCertificate(ca, key, { ...content, ...(sourceAddress ? { sourceAddress } : {}) }),
      jumpCertificate: await signUserCertificate(ca, key, {
        ...content,
        permitPortForwarding: true,
        ...(jumpSourceAddress ? { sourceAddress: jumpSourceAddress } : {}),
      }),
    };
  }

  return {
    async credentialFor(system, username) {
      if (username === '' || username.includes('\0')) {
        throw new BrokerError('SshCredentialsRefused', 'A certificate needs the name of a user.');
      }
      const key = createKey();
      const keyId = `goldcrest:${username}@${system}`;
      const expiresAt = Date.now() + validityMs;
      return { id: keyId, key, expiresAt, ...(await certificates(key, username, keyId, expiresAt)) };
    },
  };
}
