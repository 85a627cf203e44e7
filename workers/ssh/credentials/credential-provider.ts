/** Where the key that logs a user in comes from. */
import type { ParsedKey } from 'ssh2';

/** What one login needs. `key` is a parsed private key; never log or store it. */
export interface SshCredential {
  /** Names the credential in logs; no secret. */
  readonly id: string;
  readonly key: ParsedKey;
  /** OpenSSH user certificate for the key, as the one-line text of a `-cert.pub` file. */
  readonly certificate?: string;
  /** A certificate for the jump host alone (it permits port forwarding); default: `certificate`. */
  readonly jumpCertificate?: string;
  /** Milliseconds since the epoch; connections made with it take no new work shortly before. */
  readonly expiresAt?: number;
}

/** Hands out credentials; called once per connection. */
export interface CredentialProvider {
  /** Throws SshCredentialsRefused when it has none for the user, SshUnavailable when it cannot tell now. */
  credentialFor(system: string, username: string): Promise<SshCredential>;
}
