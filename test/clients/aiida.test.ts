/** AiiDA's transport and scheduler for FirecREST from PyPI, unmodified. */
import { afterAll, beforeAll, inject } from 'vitest';
import type { Broker } from '../system/broker-fixture.ts';
import { startClientBroker } from './client-broker.ts';
import { testScript } from './script-tests.ts';

const lab = inject('lab');
let broker: Broker;

beforeAll(async () => {
  broker = await startClientBroker();
});

afterAll(() => broker?.stop());

testScript({
  title: 'aiida-firecrest',
  script: 'python/aiida_plugin.py',
  broker: () => broker,
  facts: () => ({ scratch: lab.folder }),
  notAboutTheApi: [
    // Nothing to open with a web service, and what the plug-in itself refuses.
    ...['open_async', 'close_async'],
    ...['chown_async', 'compress_async', 'extract_async', 'exec_command_wait_async'],
    // By way of their likes: get and put of two transports, and glob.
    ...['copy_from_remote_to_remote_async', 'iglob_async'],
  ],
});
