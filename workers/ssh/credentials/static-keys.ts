/** Private keys that the configuration lists, one per user; the texts come from secret files. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { CredentialProvider, SshCredential } from './credential-provider.ts';
import { parsePrivateKey } from './private-key.ts';

/** One user's key; any format OpenSSH writes. */
export interface StaticKey {
  readonly privateKey: string;
  readonly passphrase?: string | undefined;
  /** Text of the matching `-cert.pub` file. */
  readonly certificate?: string | undefined;
}

/** Keys are parsed here, so a damaged one stops the start (Error) and not a request. */
export function createStaticKeys(keys: Readonly<Record<string, StaticKey>>): CredentialProvider {
  const credentials = new Map<string, SshCredential>();
  for (const [username, { privateKey, passphrase, certificate }] of Object.entries(keys)) {
    const key = parsePrivateKey(privateKey, passphrase, `the key of user ${username}`);
    credentials.set(username, { id: `static:${username}`, key, ...(certificate ? { certificate } : {}) });
  }
  return {
    async credentialFor(system, username) {
      const credential = credentials.get(username);
      if (credential) return credential;
      throw new BrokerError('SshCredentialsRefused', `No SSH key is configured for user ${username} on ${system}.`);
    },
  };
}
