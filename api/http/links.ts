/** Addresses in answers: absolute under the configured public address, else relative to the host the client used. */
import type { ApiConfig } from '../../shared/platform/config/config.ts';

type LinkConfig = Pick<ApiConfig, 'publicUrl' | 'rootPath'>;

/** The address of a path of ours as a client must call it. The request's Host header is never used: it is the caller's word. */
export function linkTo(config: LinkConfig, path: string): string {
  return `${config.publicUrl ?? config.rootPath}${path}`;
}
