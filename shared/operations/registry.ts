/** The one list of operations. Routes, handlers, the OpenAPI document and the security table derive from it. */
import { cancelJob } from './compute/cancel-job.ts';
import { getJob } from './compute/get-job.ts';
import { submitJob } from './compute/submit-job.ts';
import { ls } from './filesystem/ls.ts';
import { stat } from './filesystem/stat.ts';
import type { Operation } from './operation.ts';
import { systems } from './status/systems.ts';

export const operations = {
  'compute.cancel-job': cancelJob,
  'compute.get-job': getJob,
  'compute.submit-job': submitJob,
  'filesystem.ls': ls,
  'filesystem.stat': stat,
  'status.systems': systems,
} as const;

export type OperationName = keyof typeof operations;

export const operationNames = Object.keys(operations) as OperationName[];

/** The contract of an operation by name, or undefined for a name that is none. */
export function findOperation(name: string): Operation | undefined {
  return Object.hasOwn(operations, name) ? (operations[name as OperationName] as unknown as Operation) : undefined;
}
