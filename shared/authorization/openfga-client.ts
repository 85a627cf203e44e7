/** The client of an OpenFGA server: bounded connections, bounded time, the preshared key in no error it throws. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { CredentialsMethod, FgaApiError, FgaError, OpenFgaClient } from '@openfga/sdk';
import type { Secret } from '../platform/secret.ts';

export interface OpenFgaSettings {
  url: string;
  /** Left out only where a store is to be made. */
  storeId?: string;
  /** null: the newest model of the store. */
  modelId: string | null;
  apiToken: Secret | null;
  timeoutMs: number;
  connectionsMax: number;
}

/** Creates no connection yet. A read is tried twice, since a kept connection may just have been closed. */
export function createOpenFgaClient(settings: OpenFgaSettings): OpenFgaClient {
  const { url, storeId, modelId, apiToken, timeoutMs, connectionsMax } = settings;
  const agent = { keepAlive: true, maxSockets: connectionsMax };
  return new OpenFgaClient({
    apiUrl: url,
    ...(storeId === undefined ? {} : { storeId }),
    ...(modelId === null ? {} : { authorizationModelId: modelId }),
    ...(apiToken === null
      ? {}
      : { credentials: { method: CredentialsMethod.ApiToken, config: { token: apiToken.reveal() } } }),
    retryParams: { maxRetry: 1, minWaitInMs: 10 },
    baseOptions: {
      timeout: timeoutMs,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
      // As configured, and not by what a variable of the environment says: the proxy would see the key.
      proxy: false,
      maxRedirects: 0,
    },
  });
}

/** Whether the server, or the way to it, is at fault. */
export function isOpenFgaFailure(error: unknown): boolean {
  return error instanceof FgaError;
}

/** Status and words of the server, or of the network; never the request, which carries the key. */
export function describeFailure(error: unknown): { status: number | null; message: string } {
  if (error instanceof FgaApiError) {
    const told = (error.responseData as { message?: unknown } | undefined)?.message;
    return { status: error.statusCode ?? null, message: typeof told === 'string' ? told : error.name };
  }
  return { status: null, message: error instanceof Error ? error.message : String(error) };
}
