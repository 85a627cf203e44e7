/** Looks at what a service has handed out before anything is done with it. */
import type { ParsedKey } from 'ssh2';
import { type CertificateFacts, readCertificateText } from '../read-certificate.ts';
import { unusable } from './ask-service.ts';
import type { SshCredential } from './credential-provider.ts';

/** How far the service's clock may be ahead of ours. */
const clockSkewMs = 120_000;

/**
 * The credential, ending with its certificate. Throws SshCredentialsRefused when the text is no user certificate for
 * this key that is valid now. Who may log in with it is the host's to say.
 */
export function checkedCredential(service: string, id: string, key: ParsedKey, text: string): SshCredential {
  const facts = factsOf(service, text);
  if (!facts.isForUsers) throw unusable(`The ${service} gave a certificate for a host, not for a user.`);
  if (!facts.publicKey.equals(key.getPublicSSH())) throw unusable(`The ${service} gave a certificate for another key.`);
  const now = Date.now();
  if (facts.expiresAt <= now) throw unusable(`The ${service} gave a certificate that has expired: look at its clock.`);
  if (facts.startsAt > now + clockSkewMs) {
    throw unusable(`The ${service} gave a certificate that is not valid yet: look at its clock.`);
  }
  const expiry = Number.isFinite(facts.expiresAt) ? { expiresAt: facts.expiresAt } : {};
  return { id, key, certificate: text.trim(), ...expiry };
}

function factsOf(service: string, text: string): CertificateFacts {
  try {
    return readCertificateText(text);
  } catch (cause) {
    throw unusable(`The ${service} did not give an OpenSSH certificate.`, cause);
  }
}
