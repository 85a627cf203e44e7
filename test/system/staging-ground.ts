/** What tests of transfers through the staging store stand on: a broker, alice with a directory of her own, and a look into the store. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import type { LabFacts } from '../../lab/lab-facts.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { eventually } from '../eventually.ts';
import { type Body, type Broker, type Client, clientOf, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { watchLeftovers } from './transfer-fixture.ts';
import { stagedOf, storeClient } from './tree-fixture.ts';

const mebi = 2 ** 20;

export interface StagingGround {
  broker: Broker;
  client: Client;
  owner: LabUser;
  own: OwnDirectory;
  store: S3Client;
  at(name: string): string;
  /** A file of alice's. */
  put(name: string, content: string | Buffer): string;
  /** A task of the system `lab`, to its end. */
  run(operation: string, input: Record<string, unknown>): Promise<Body>;
  /** Keys of objects and of uploads begun that belong to a task. */
  stagedOf(taskId: string): Promise<string[]>;
  /** Nothing is left of any transfer of hers, neither files nor processes. */
  expectNothingLeft(): Promise<void>;
  stop(): Promise<void>;
}

/** Parts are of 6 MiB. `options`: of the broker, over those of the ground. */
export async function openStagingGround(
  lab: LabFacts,
  options: Parameters<typeof startBroker>[1] = {},
): Promise<StagingGround> {
  const broker = await startBroker(lab, {
    scheduler: 'process',
    workers: 2,
    s3: lab.s3,
    staging: { multipart: { max_part_size: 6 * mebi } },
    ...options,
  });
  const client = await clientOf(lab.oidc, broker.url, 'alice');
  const owner = userNamed(lab.users, 'alice');
  const own = homeDirectory(owner);
  const leftovers = watchLeftovers(client, lab, owner, own.path);
  const store = storeClient(lab.s3);
  const at = (name: string): string => join(own.path, name);
  return {
    ...{ broker, client, owner, own, store, at },
    put(name, content) {
      writeFileSync(at(name), content);
      own.giveAway();
      return at(name);
    },
    async run(operation, input) {
      const { status, body, text } = await client.post('/tasks', { operation, system: 'lab', input });
      expect(status, text).toBe(202);
      return taskEnd(client, `/tasks/${body.id}`);
    },
    stagedOf: (taskId) => stagedOf(store, owner.username, taskId),
    expectNothingLeft: () => eventually(async () => expect(await leftovers()).toEqual([])),
    async stop() {
      store.destroy();
      own.remove();
      await broker.stop();
    },
  };
}

/** The same with a second system, `other`, whose one file system is alice's home. */
export function openGroundOfTwo(lab: LabFacts): Promise<StagingGround> {
  const homes = [{ path: userNamed(lab.users, 'alice').home, data_type: 'users', default_work_dir: true }];
  return openStagingGround(lab, {
    otherSystems: [{ name: 'other', sshd: lab.sshd, cluster: { file_systems: homes } }],
  });
}
