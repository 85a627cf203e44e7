/** What the scripts are told of the lab: one user, one directory of theirs, and where the API is. */
import type { LabFacts } from '../../lab/lab-facts.ts';
import { userNamed } from '../../lab/users.ts';
import { operations } from '../../shared/operations/registry.ts';
import type { Broker } from '../system/broker-fixture.ts';
import type { OwnDirectory } from '../system/home-directory.ts';
import type { ScriptCase } from './python.ts';

/** Names as Python has them. */
export function scriptFacts(lab: LabFacts, broker: Broker, own: OwnDirectory, name: string) {
  const { uid, gid, username, accounts } = userNamed(lab.users, name);
  const { clientId, clientSecret } = lab.oidc.clients[name] ?? { clientId: '', clientSecret: '' };
  return {
    url: broker.url,
    system: broker.systemName,
    token_url: lab.oidc.tokenEndpoint,
    client_id: clientId,
    client_secret: clientSecret,
    directory: own.path,
    account: accounts[0],
    username,
    uid,
    gid,
  };
}

const routes = Object.values(operations).map(({ firecrest }) => `${firecrest.method} ${firecrest.path}`);

/** Whether the broker has the route that the case is about. */
export function isBuilt({ route }: ScriptCase): boolean {
  return route === null || routes.includes(route);
}
