/** A broker and a directory of alice's own, for files that are sent and fetched. */
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, inject, vi } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import { connectRedis } from '../../shared/platform/redis.ts';
import { createClient, pathQuery, startBroker } from './broker-fixture.ts';
import { homeDirectory } from './home-directory.ts';

/** Largest file of the broker. */
export const limitBytes = 64 * 2 ** 20;

export async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

/** Starts the broker; the caller stops it. */
export async function startFileBytes() {
  const lab = inject('lab');
  const alice = userNamed(lab.users, 'alice');
  const broker = await startBroker(lab, {
    scheduler: 'process',
    dataOperation: { max_ops_file_size: limitBytes },
  });
  const token = await requestToken(lab.oidc, 'alice');
  const client = createClient(broker.url, token);
  const own = homeDirectory(alice);

  function at(name: string): string {
    return join(own.path, name);
  }

  /** Puts a file of the user where the cluster sees it. */
  function put(name: string, data: string | Buffer, mode = 0o644): string {
    writeFileSync(at(name), data, { mode });
    chmodSync(at(name), mode);
    own.giveAway();
    return at(name);
  }

  function fetchFile(path: string, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
    return fetch(`${broker.url}/filesystem/lab/ops/download?${pathQuery(path)}`, {
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  function upload(
    directory: string,
    name: string,
    data: string | Buffer<ArrayBuffer>,
    extra: [string, string][] = [],
    headers: Record<string, string> = {},
  ) {
    const form = new FormData();
    for (const [field, value] of extra) form.append(field, value);
    form.append('file', new Blob([data]), name);
    form.append('after', 'y');
    return client.post(`/filesystem/lab/ops/upload?${pathQuery(directory)}`, form, { headers });
  }

  /** Nothing of an upload that did not end is left. */
  async function noParts(): Promise<void> {
    await vi.waitFor(() => expect(readdirSync(own.path).filter((name) => name.includes('.part-'))).toEqual([]), {
      timeout: 40_000,
      interval: 50,
    });
  }

  /** State and error code of the newest task of an operation, from the record itself. */
  async function tasksOf(operation: string): Promise<{ state: string; result: string | null; error: string | null }[]> {
    const redis = connectRedis(lab.redis.url, 'persist', pino({ level: 'silent' }));
    try {
      const keys = await redis.keys(`${broker.keyPrefix}:task:*`);
      const records = await Promise.all(keys.map((key) => redis.hgetall(key)));
      return records
        .filter((record) => record.operation === operation)
        .sort((a, b) => Number(a.createdAt) - Number(b.createdAt))
        .map(({ state = '', result, error }) => ({ state, result: result ?? null, error: error ?? null }));
    } finally {
      redis.disconnect();
    }
  }

  const stop = async (): Promise<void> => {
    own.remove();
    await broker.stop();
  };
  return { lab, alice, broker, token, client, own, at, put, fetchFile, upload, noParts, tasksOf, stop };
}
