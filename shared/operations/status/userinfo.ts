/** Who the caller is on a system. FirecREST v2: GET /status/{system_name}/userinfo, in the shapes of 2.5 and 2.6 together. */
import { z } from 'zod';
import { defineOperation } from '../operation.ts';

const identity = z.object({ id: z.string().describe('Digits'), name: z.string() });

export const account = z.object({ name: z.string(), default: z.boolean() });

export type Account = z.infer<typeof account>;

export const userinfo = defineOperation({
  name: 'status.userinfo',
  summary: 'User, groups and accounts of the caller',
  input: z.object({}),
  result: z.object({
    user: identity,
    group: identity.describe('The primary group'),
    groups: z.array(identity.extend({ default: z.boolean().describe('Whether it is the primary group') })),
    accounts: z.array(account).nullable().describe('Null where the accounting does not answer or there is none'),
  }),
  firecrest: {
    method: 'GET',
    path: '/status/{system_name}/userinfo',
    status: 200,
    answer: ({ user, group, groups, accounts }) => ({ user, group, groups, accounts }),
  },
  relation: 'view_status',
  requires: ['ssh'],
  lane: 'batch',
  scope: 'system',
  mutates: false,
  recover: 'rerun',
  paths: [],
  timeoutMs: 30_000,
  errors: ['RemoteCommandFailed'],
});
