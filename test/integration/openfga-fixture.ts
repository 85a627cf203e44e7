/** A store of its own on the lab's OpenFGA, with the model in it; grants are written by tuples. */
import type { OpenFgaClient, TupleKey } from '@openfga/sdk';
import type { OpenFgaFacts } from '../../lab/parts/openfga.ts';
import {
  authorizationModel,
  type Limits,
  limitsName,
  type PathLimits,
  pathLimitsName,
} from '../../shared/authorization/authorization-model.ts';
import { createOpenFgaClient } from '../../shared/authorization/openfga-client.ts';
import { Secret } from '../../shared/platform/secret.ts';

export interface OpenFgaStore {
  client: OpenFgaClient;
  storeId: string;
  modelId: string;
  grant(user: string, relation: string, object: string, limits?: Partial<PathLimits>): Promise<void>;
  revoke(user: string, relation: string, object: string): Promise<void>;
}

export const farAway = '2999-01-01T00:00:00Z';

export function openFgaSettings({ apiUrl, apiToken }: OpenFgaFacts) {
  return { url: apiUrl, modelId: null, apiToken: new Secret(apiToken), timeoutMs: 10_000, connectionsMax: 10 };
}

export async function createStore(facts: OpenFgaFacts): Promise<OpenFgaStore> {
  const settings = openFgaSettings(facts);
  const { id: storeId } = await createOpenFgaClient(settings).createStore({ name: 'test' });
  const client = createOpenFgaClient({ ...settings, storeId });
  const { authorization_model_id: modelId } = await client.writeAuthorizationModel(authorizationModel);
  return {
    client,
    storeId,
    modelId,
    async grant(user, relation, object, limits) {
      const context: Limits = { until: farAway, networks: [], ...limits };
      const tuple: TupleKey = { user, relation, object };
      const name = limits?.path_prefixes === undefined ? limitsName : pathLimitsName;
      if (limits !== undefined) tuple.condition = { name, context };
      await client.write({ writes: [tuple] });
    },
    async revoke(user, relation, object) {
      await client.write({ deletes: [{ user, relation, object }] });
    },
  };
}
