/** firecrest-executor from PyPI, unmodified. */
import { afterAll, beforeAll, inject } from 'vitest';
import { type Broker, startBroker } from '../system/broker-fixture.ts';
import { testScript } from './script-tests.ts';

let broker: Broker;

beforeAll(async () => {
  broker = await startBroker(inject('lab'), {
    fileSystems: [{ path: '/home', data_type: 'users', default_work_dir: true }],
  });
});

afterAll(() => broker?.stop());

testScript({ title: 'firecrest-executor', script: 'python/executor.py', broker: () => broker });
