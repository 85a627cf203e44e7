/** GET /health/systems and /health/systems/{system_name}: what the probes found, now and in the last 24 hours. */
import { z } from 'zod';
import { serviceKey } from '../../../shared/health/system-health.ts';
import type { HealthStore } from '../../../shared/platform/health-store.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { readQuery } from '../../http/query.ts';
import { findSystem, type SystemsByName } from '../accept-task.ts';
import { viewSystemHealth } from './health-views.ts';

type HealthDeps = Pick<AppDeps, 'checkAccess' | 'findVisible' | 'health'> & { systems: SystemsByName };

/** Where the API reads it. */
export type HealthReader = Pick<HealthStore, 'read' | 'history'>;

const notRead = { health: null, isProbed: false };
/** Probes shown of one service where the request says nothing, and of all services of a system together. */
const probesDefault = 100;
const probesMax = 1_500;
const probesTotalMax = 20_000;

export const historyQuery = z.coerce
  .number()
  .int()
  .min(0)
  .max(probesMax)
  .default(probesDefault)
  .describe('Probes of each service to show, at most');

/** Every system that the caller may see. */
export function listHealth({ systems, findVisible, health }: HealthDeps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const shown = await findVisible(c.get('principal'), c.get('address'));
    const visible = [...systems.keys()].filter((name) => shown === null || shown.has(name));
    const readings = await health.read(visible);
    const views = visible.map((name) => viewSystemHealth(name, readings.get(name) ?? notRead));
    return jsonResponse(c, 200, { systems: views });
  };
}

/** One system, with its history. InvalidRequest, SystemNotFound, Forbidden, StoreUnavailable. */
export function getHealth({ systems, checkAccess, health }: HealthDeps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const { name } = findSystem(systems, c.req.param('system_name') ?? '');
    await checkAccess(c.get('principal'), 'view_status', name, c.get('address'));
    const wanted = historyQuery.safeParse(readQuery(c).get('history'));
    if (!wanted.success) throw invalidField('query', 'history', `must be a whole number from 0 to ${probesMax}`);
    const reading = (await health.read([name])).get(name) ?? notRead;
    const keys = (reading.health?.services ?? []).map(serviceKey);
    const countMax = Math.min(wanted.data, Math.floor(probesTotalMax / Math.max(1, keys.length)));
    const rows = countMax === 0 ? [] : await Promise.all(keys.map((key) => health.history(name, key, countMax)));
    const histories = new Map(keys.map((key, at) => [key, rows[at] ?? []] as const));
    return jsonResponse(c, 200, viewSystemHealth(name, reading, histories));
  };
}
