/** Metrics as they were scraped: by name and labels, as in `plimsoll_requests_total{outcome="answered"}`. */
export interface Scrape {
  /** The sum of all series of this name whose labels include these. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
  /** Whether there is such a series at all. */
  has(name: string): boolean;
  readonly text: string;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;

/** Reads Prometheus' text form. */
export function readMetrics(text: string): Scrape {
  const series = text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    return name === undefined ? [] : [{ name, labels: `,${labels},`, value: Number(value) }];
  });
  return {
    text,
    has: (name) => series.some((one) => one.name === name),
    sum: (name, labels = {}) =>
      series
        .filter(
          (one) =>
            one.name === name && Object.entries(labels).every(([key, value]) => one.labels.includes(`,${key}="${value}",`)),
        )
        .reduce((total, { value }) => total + value, 0),
  };
}
