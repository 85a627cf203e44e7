/** Where Prometheus fetches the metrics of a process. */

export interface MetricsConfig {
  /** Address that the listener binds. */
  host: string;
  /** Port of an API process; 0: any free one; null: there are no metrics of it. */
  apiPort: number | null;
  /** The same of a worker. */
  workerPort: number | null;
}
