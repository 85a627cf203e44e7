/**
 * An SSH key service over HTTP: it makes key and certificate for the user whose token it is shown. The requests are those
 * of FirecREST v2's `SSHService`.
 */
import { z } from 'zod';
import { version } from '../../../shared/platform/version.ts';
import { createGate } from '../../runtime/concurrency-gate.ts';
import { askService, unusable } from './ask-service.ts';
import { checkedCredential } from './checked-credential.ts';
import type { CredentialProvider } from './credential-provider.ts';
import { parsePrivateKey } from './private-key.ts';
import type { UserTokens } from './user-tokens.ts';

export interface CredentialServiceOptions {
  /** Without a slash at the end. */
  readonly url: string;
  /** Requests at the same time; others wait. */
  readonly connectionsMax: number;
  readonly tokens: Pick<UserTokens, 'tokenFor'>;
  /** For one request; 5 s when left out, as FirecREST has it. */
  readonly timeoutMs?: number;
}

export const serviceTimeoutMs = 5_000;
const name = 'SSH key service';
/** In the service's own words; one login takes less. */
const duration = '1min';

const answer = z.object({ sshKey: z.object({ privateKey: z.string(), publicKey: z.string() }) });

/** Throws what `askService` and the tokens throw. */
export function createSshService(options: CredentialServiceOptions): CredentialProvider {
  const { url, connectionsMax, tokens, timeoutMs = serviceTimeoutMs } = options;
  const inTurn = createGate(connectionsMax);
  return {
    async credentialFor(system, username) {
      const token = await tokens.tokenFor(system, username);
      const text = await inTurn(() =>
        askService(
          { name, timeoutMs },
          {
            url: `${url}/api/v1/ssh-keys`,
            headers: {
              authorization: `Bearer ${token}`,
              'user-agent': `goldcrest/${version}`,
              // The name by which these services know clients of this kind.
              ...{ 'x-client-type': 'api', 'x-client-name': 'firecrest', 'x-client-version': version },
            },
            body: { duration, username },
            status: 201,
          },
        ),
      );
      const { privateKey, publicKey } = readAnswer(text);
      return checkedCredential(name, `ssh-service:${username}@${system}`, readKey(privateKey), publicKey);
    },
  };
}

function readAnswer(text: string): z.infer<typeof answer>['sshKey'] {
  const parsed = answer.safeParse(parseJson(text));
  if (!parsed.success) throw unusable(`The ${name} gave an answer that cannot be read.`);
  return parsed.data.sshKey;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // the schema says so; the text may hold a key
  }
}

function readKey(privateKey: string) {
  try {
    return parsePrivateKey(`${privateKey.trim()}\n`, undefined, 'the key of the service');
  } catch (cause) {
    throw unusable(`The ${name} gave a private key that cannot be read.`, cause);
  }
}
