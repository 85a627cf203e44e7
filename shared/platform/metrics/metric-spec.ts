/** What is said of a metric. */

export interface MetricSpec {
  /** `counter` and `histogram` grow as things happen; `gauge` and `tally` (a counter that is kept elsewhere) are read at a scrape. */
  kind: 'counter' | 'histogram' | 'gauge' | 'tally';
  /** Which process tells it. */
  of: 'api' | 'worker' | 'both';
  help: string;
  labels: readonly string[];
  /** What an operator does with it: an alert of deploy/prometheus/alerts.yml, or a graph. */
  use: string;
  /** Upper bounds of a histogram, in seconds. */
  buckets?: readonly number[];
}
