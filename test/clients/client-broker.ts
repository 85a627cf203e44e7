/** The broker as clients meet it: real Slurm, homes to work in, a store for what is too large to go straight through. */
import { inject } from 'vitest';
import { startBroker } from '../system/broker-fixture.ts';

export function startClientBroker() {
  const lab = inject('lab');
  const fileSystems = [{ path: '/home', data_type: 'scratch', default_work_dir: true }];
  const staging = { multipart: { max_part_size: 16 * 2 ** 20 } };
  return startBroker(lab, { ...{ s3: lab.s3, staging }, fileSystems });
}
