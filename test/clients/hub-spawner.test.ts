/** The calls of JupyterHub's spawner for FirecREST, made by unmodified pyfirecrest. */
import { afterAll, beforeAll, inject } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import type { Broker } from '../system/broker-fixture.ts';
import { startClientBroker } from './client-broker.ts';
import { testScript } from './script-tests.ts';

const lab = inject('lab');
let broker: Broker;
let token: string;

beforeAll(async () => {
  broker = await startClientBroker();
  token = await requestToken(lab.oidc, 'alice');
});

afterAll(() => broker?.stop());

testScript({
  title: "JupyterHub's spawner",
  script: 'python/hub_spawner.py',
  broker: () => broker,
  facts: () => ({
    token,
    service_id: lab.oidc.clients.service?.clientId,
    service_secret: lab.oidc.clients.service?.clientSecret,
  }),
});
