/**
 * The token that names a user to Slurm: a JWT with the claim `sun`, signed with the cluster's own HS256 key
 * (slurm.conf: `AuthAltParameters=jwt_key=…`), minted for each request and valid for little longer than it may take.
 */
import { SignJWT } from 'jose';
import { BrokerError } from '../../../shared/errors/broker-error.ts';

/** Slurm's own accounts may do everything to everybody's jobs; nobody becomes one of them by the name in a token. */
const privileged: ReadonlySet<string> = new Set(['root', 'slurm', 'SlurmUser']);

/** slurmrestd hands the token on to controller and accounting, whose clocks may differ. */
const spareSeconds = 60;

/** Gives the token of a user; PermissionDenied for an account of Slurm itself. */
export type MintToken = (username: string) => Promise<string>;

/** `key` is the content of the key file, to the byte; a token lives `lifeMs` and a minute more. */
export function createMint(key: Uint8Array, lifeMs: number): MintToken {
  return async (username) => {
    if (privileged.has(username)) {
      throw new BrokerError('PermissionDenied', `The account ${username} of the cluster cannot be used here.`);
    }
    const now = Math.floor(Date.now() / 1_000);
    return new SignJWT({ sun: username })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuedAt(now)
      .setExpirationTime(now + Math.ceil(lifeMs / 1_000) + spareSeconds)
      .sign(key);
  };
}
