/** OpenSSH user certificates made by hand with ssh-keygen(1), to compare with what the broker makes itself. */
import { runCommand } from './run-command.ts';

export interface CertificateOptions {
  /** Public key file, `….pub`; the certificate lies beside it as `…-cert.pub`. */
  publicKeyPath: string;
  principals: readonly string[];
  /** ssh-keygen's `-V`: `+5m` when left out, `-10m:-5m` for an expired one. */
  validity?: string;
  /** ssh-keygen's `-O`, such as `clear`, `source-address=…`. */
  options?: readonly string[];
  keyId?: string;
}

/** Signs a user key with a CA's private key file; resolves to the path of the certificate. */
export async function signUserKey(caPrivateKeyPath: string, options: CertificateOptions): Promise<string> {
  const flags = (options.options ?? []).flatMap((option) => ['-O', option]);
  const principals = options.principals.join(',');
  const id = options.keyId ?? `lab-${principals}`;
  const validity = options.validity ?? '+5m';
  await runCommand('ssh-keygen', [
    ...['-q', '-s', caPrivateKeyPath, '-I', id, '-n', principals, '-V', validity],
    ...flags,
    options.publicKeyPath,
  ]);
  return options.publicKeyPath.replace(/\.pub$/, '-cert.pub');
}
