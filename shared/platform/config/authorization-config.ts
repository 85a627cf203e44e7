/** Who decides what users may do on which system: the built-in policy, or OpenFGA. */
import type { Secret } from '../secret.ts';

/** `builtin`: a valid token may use every system as itself. */
export type AuthorizationConfig =
  | { type: 'builtin' }
  | {
      type: 'openfga';
      url: string;
      storeId: string;
      /** null: the newest model of the store. */
      modelId: string | null;
      apiToken: Secret | null;
      timeoutMs: number;
      connectionsMax: number;
      /** How long a permission is remembered. */
      cacheMs: number;
    };
