/** How long the broker may act for a user who is not there any more. */
import { duration, section } from './schema-fields.ts';

const consentLife = () => duration({ minMs: 60_000, maxMs: 365 * 86_400_000 }).prefault('30d');

export const consent = section({
  task_max: consentLife().describe(
    'Longest time from the request of a task of one operation to its deadline: nothing is begun for its user after that. A request may ask for less by `deadline`; without one it is a day, at most this.',
  ),
  chain_max: consentLife().describe('The same of a chain; without `deadline` it is a week, at most this.'),
  transfer_max: consentLife().describe('The same of a transfer; without `deadline` it is a day, at most this.'),
});
