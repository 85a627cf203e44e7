/** What a listing needs to know of a system beyond the files: names for numbers, and the local time. */
import type { LocalTime } from './local-time.ts';

export interface ListingContext {
  /** Name per uid, the digits where there is none. */
  users(uids: readonly number[]): Promise<string[]>;
  groups(gids: readonly number[]): Promise<string[]>;
  /** Times as `ls` on the system prints them. */
  localTime(): Promise<LocalTime>;
}
