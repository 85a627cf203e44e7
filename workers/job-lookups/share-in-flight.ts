/** One run for all who want the same at the same time. */

export interface InFlight<T> {
  /**
   * Runs `work`, or joins the run of the same key that is under way. The run is ended when all who wait for it have gone;
   * each of them goes by its own signal.
   */
  run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Running<T> {
  result: Promise<T>;
  controller: AbortController;
  waiting: number;
}

export function shareInFlight<T>(): InFlight<T> {
  const runs = new Map<string, Running<T>>();

  const start = (key: string, work: (signal: AbortSignal) => Promise<T>): Running<T> => {
    const controller = new AbortController();
    const run: Running<T> = { result: work(controller.signal), controller, waiting: 0 };
    runs.set(key, run);
    const forget = (): void => {
      if (runs.get(key) === run) runs.delete(key);
    };
    run.result.then(forget, forget);
    return run;
  };

  return {
    async run(key, signal, work) {
      signal.throwIfAborted();
      const run = runs.get(key) ?? start(key, work);
      run.waiting += 1;
      let leave = (): void => {};
      const gone = new Promise<never>((_resolve, reject) => {
        leave = () => reject(signal.reason);
        signal.addEventListener('abort', leave, { once: true });
      });
      try {
        return await Promise.race([run.result, gone]);
      } finally {
        signal.removeEventListener('abort', leave);
        run.waiting -= 1;
        if (run.waiting === 0) {
          if (runs.get(key) === run) runs.delete(key);
          run.controller.abort(signal.reason);
        }
      }
    },
  };
}
