/** Makes a test of every case of a Python script, and one that no method of the client is left out. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { operations } from '../../shared/operations/registry.ts';
import type { Broker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { listCases, runCases, type ScriptCase, type ScriptReport } from './python.ts';

export interface ScriptTests {
  /** Of the tests. */
  title: string;
  /** Below this folder. */
  script: string;
  /** Called when the tests run, and so may be started in a `beforeAll`. */
  broker: () => Broker;
  /** For the script, beside those that every script is told. */
  facts?: () => Record<string, unknown>;
  /** Longest time for one case. */
  caseTimeoutMs?: number;
  /** Public methods that no case has to call: they are about something else than the API. */
  notAboutTheApi?: readonly string[];
}

const routes = Object.values(operations).map(({ firecrest }) => `${firecrest.method} ${firecrest.path}`);

/** Whether the broker has the route that the case is about. */
function isBuilt({ route }: ScriptCase): boolean {
  return route === null || routes.includes(route);
}

/** A script's running time is more than a case's and less than a hook's, so that the words of the inner one are seen. */
const graceMs = 30_000;

/** What a script is told, with names as Python has them: one user, one directory of theirs, and where the API is. */
function commonFacts(broker: Broker, own: OwnDirectory) {
  const lab = inject('lab');
  const { uid, gid, username, accounts } = userNamed(lab.users, 'alice');
  return {
    url: broker.url,
    system: broker.systemName,
    token_url: lab.oidc.tokenEndpoint,
    client_id: lab.oidc.clients.alice?.clientId,
    client_secret: lab.oidc.clients.alice?.clientSecret,
    directory: own.path,
    account: accounts[0],
    username,
    uid,
    gid,
  };
}

export function testScript({
  title,
  script,
  broker,
  facts = () => ({}),
  caseTimeoutMs = 240_000,
  notAboutTheApi = [],
}: ScriptTests): void {
  const all = listCases(script);
  const cases = all.filter(isBuilt);
  /** A case's name begins with the methods that it is about. */
  const notBuilt = all
    .filter((each) => !isBuilt(each))
    .flatMap(({ name }) => name.split(':')[0]?.split(/, | and /) ?? []);

  describe(title, () => {
    let own: OwnDirectory;
    let report: ScriptReport;

    beforeAll(
      async () => {
        own = homeDirectory(userNamed(inject('lab').users, 'alice'));
        const names = cases.map(({ name }) => name);
        const limits = { cases: names, case_timeout_seconds: caseTimeoutMs / 1_000 };
        const told = { ...commonFacts(broker(), own), ...facts(), ...limits };
        report = await runCases(script, told, caseTimeoutMs + graceMs);
      },
      caseTimeoutMs + 2 * graceMs,
    );

    afterAll(() => own?.remove());

    it.each(cases)('$name', ({ name }) => {
      const result = report.cases.get(name);
      expect(result, 'the script did not report').toBeDefined();
      if (result?.failure != null) expect.fail(result.failure);
    });

    it('the cases call every public method of the client', () => {
      const excused = [...notAboutTheApi, ...report.called, ...notBuilt];
      expect(report.methods.length).toBeGreaterThan(0);
      expect(report.methods.filter((method) => !excused.includes(method))).toEqual([]);
    });
  });
}
