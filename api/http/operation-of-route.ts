/** Which operation a route is of. */
import { findOperation, operationNames } from '../../shared/operations/registry.ts';

/** `METHOD template` → name of the operation. */
const operationByRoute = new Map<string, string>(
  operationNames.map((name) => {
    const { method, path } = findOperation(name)?.firecrest ?? { method: '', path: '' };
    return [`${method} ${path}`, name];
  }),
);

/** Undefined where it is of none. */
export function operationOfRoute(method: string, template: string): string | undefined {
  return operationByRoute.get(`${method} ${template}`);
}
