/**
 * An SSH CA over HTTP: each login gets a key made in memory, and the CA signs it for the user whose token it is shown. The
 * requests are those of FirecREST v2's `SSHCA` (DeiC's sshca).
 */
import { version } from '../../../shared/platform/version.ts';
import { createGate } from '../../runtime/concurrency-gate.ts';
import { askService } from './ask-service.ts';
import { checkedCredential } from './checked-credential.ts';
import type { CredentialProvider } from './credential-provider.ts';
import { createKey } from './new-key.ts';
import { type CredentialServiceOptions, serviceTimeoutMs } from './ssh-service.ts';

const name = 'SSH CA';

/** Throws what `askService` and the tokens throw. */
export function createSshCa(options: CredentialServiceOptions): CredentialProvider {
  const { url, connectionsMax, tokens, timeoutMs = serviceTimeoutMs } = options;
  const inTurn = createGate(connectionsMax);
  return {
    async credentialFor(system, username) {
      const token = await tokens.tokenFor(system, username);
      const key = createKey();
      const publicKey = `${key.type} ${key.getPublicSSH().toString('base64')}`;
      const certificate = await inTurn(() =>
        askService(
          { name, timeoutMs },
          {
            url: `${url}/sign`,
            headers: { 'user-agent': `goldcrest/${version}` },
            body: { PublicKey: publicKey, OTT: token },
            status: 200,
          },
        ),
      );
      return checkedCredential(name, `ssh-ca:${username}@${system}`, key, certificate);
    },
  };
}
