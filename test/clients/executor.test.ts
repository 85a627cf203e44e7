/** firecrest-executor from PyPI, unmodified. */
import { afterAll, beforeAll } from 'vitest';
import type { Broker } from '../system/broker-fixture.ts';
import { startClientBroker } from './client-broker.ts';
import { testScript } from './script-tests.ts';

let broker: Broker;

beforeAll(async () => {
  broker = await startClientBroker();
});

afterAll(() => broker?.stop());

testScript({ title: 'firecrest-executor', script: 'python/executor.py', broker: () => broker });
