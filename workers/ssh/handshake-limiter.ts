/** Bounds the SSH handshakes under way to one host, so that sshd's MaxStartups does not drop them. */

/** The port; the worker's runtime gives one that counts across processes. */
export interface HandshakeLimiter {
  /** Resolves with a release function (safe to call twice) once a handshake may begin; rejects when `signal` aborts. */
  acquire(hostKey: string, signal: AbortSignal): Promise<() => void>;
}

interface Host {
  underWay: number;
  readonly waiting: Array<() => void>;
}

/** Counts in this process only. `perHostMax` default 8. */
export function createInProcessHandshakeLimiter(perHostMax = 8): HandshakeLimiter {
  const hosts = new Map<string, Host>();

  function leave(hostKey: string, host: Host): void {
    const next = host.waiting.shift();
    if (next) {
      next();
      return;
    }
    host.underWay -= 1;
    if (host.underWay === 0) hosts.delete(hostKey);
  }

  return {
    async acquire(hostKey, signal) {
      signal.throwIfAborted();
      const host = hosts.get(hostKey) ?? { underWay: 0, waiting: [] };
      hosts.set(hostKey, host);
      if (host.underWay < perHostMax) host.underWay += 1;
      else await waitForTurn(host, signal);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        leave(hostKey, host);
      };
    },
  };
}

/** The place of whoever leaves is handed over, so `underWay` does not change. */
function waitForTurn(host: Host, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const enter = () => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    };
    const giveUp = () => {
      host.waiting.splice(host.waiting.indexOf(enter), 1);
      reject(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
    host.waiting.push(enter);
  });
}
