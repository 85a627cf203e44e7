/** A CA key held by the worker, or by an ssh-agent beside it: each login gets a key made in memory and a certificate for one user, for minutes. */
import type { ParsedKey } from 'ssh2';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { createAgentSigner, createKeySigner } from './ca-signer.ts';
import type { CredentialProvider } from './credential-provider.ts';
import { createKey } from './new-key.ts';
import { type CertificateContent, signUserCertificate } from './openssh-certificate.ts';

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
  /** Addresses and networks, separated by commas, that login nodes are reached from; behind a jump host, those of that. */
  readonly sourceAddress?: string | undefined;
  /** The same for jump hosts, which see the broker itself. */
  readonly jumpSourceAddress?: string | undefined;
  /** How a system is reached. Default: without a jump host. */
  readonly routeOf?: ((system: string) => CertificateRoute) | undefined;
}

export interface CertificateRoute {
  /** Only then is a second certificate made, which permits the forwarding of ports and nothing else. */
  readonly hasJumpHost: boolean;
  /** In place of the general one. */
  readonly sourceAddress?: string | undefined;
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

  const routeOf = options.routeOf ?? ((): CertificateRoute => ({ hasJumpHost: false }));

  async function certificates(key: ParsedKey, content: CertificateContent, system: string) {
    const { hasJumpHost, sourceAddress = options.sourceAddress } = routeOf(system);
    const { jumpSourceAddress } = options;
    const certificate = await signUserCertificate(ca, key, { ...content, ...(sourceAddress ? { sourceAddress } : {}) });
    if (!hasJumpHost) return { certificate };
    const jumpCertificate = await signUserCertificate(ca, key, {
      ...{ ...content, forwardsPortsOnly: true },
      ...(jumpSourceAddress ? { sourceAddress: jumpSourceAddress } : {}),
    });
    return { certificate, jumpCertificate };
  }

  return {
    async credentialFor(system, username) {
      if (username === '' || username.includes('\0')) {
        throw new BrokerError('SshCredentialsRefused', 'A certificate needs the name of a user.');
      }
      const key = createKey();
      const keyId = `goldcrest:${username}@${system}`;
      const expiresAt = Date.now() + validityMs;
      const content = {
        ...{ keyId, principal: username },
        validAfter: Math.floor(Date.now() / 1000) - clockSkewSeconds,
        validBefore: Math.floor(expiresAt / 1000),
      };
      return { id: keyId, key, expiresAt, ...(await certificates(key, content, system)) };
    },
  };
}
