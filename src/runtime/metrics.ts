/**
 * Metrics in Prometheus' text form, with label sets that are bounded by construction: every label names its possible values when
 * the metric is made, and any other value is counted under `other`. So no key, user or path that a stranger invents can grow
 * the memory of the gateway or of what scrapes it. Recording is an array index and an addition: no hashing, no allocation.
 */
export interface Metrics {
  counter(name: string, help: string, labels?: Labels): Counter;
  gauge(name: string, help: string, read: () => number | readonly Sample[]): void;
  histogram(name: string, help: string, options: { readonly buckets: readonly number[]; readonly labels?: Labels }): Histogram;
  /** The whole exposition, text format 0.0.4. */
  render(): string;
}

/** Label names, in order, each with the values it may take. */
export type Labels = Readonly<Record<string, readonly string[]>>;

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Counter {
  /** Adds `amount` (0 or more) to the series of these label values, in the order the labels were declared. */
  add(amount: number, ...values: readonly string[]): void;
}

export interface Histogram {
  observe(value: number, ...values: readonly string[]): void;
}

const OTHER = 'other';
/** A metric with more series than this is a mistake in the code, not a load: fail where it is made. */
const SERIES_MAX = 10_000;

/** Creates an empty set of metrics. */
export function createMetrics(): Metrics {
  const renderers: (() => string)[] = [];
  return {
    counter(name, help, labels = {}) {
      const series = createSeries(labels);
      const totals = new Float64Array(series.count);
      renderers.push(
        () => head(name, help, 'counter') + series.render(totals, (text, index) => `${name}${text} ${totals[index]}\n`),
      );
      return {
        add(amount, ...values) {
          const index = series.indexOf(values);
          totals[index] = (totals[index] as number) + amount;
        },
      };
    },
    gauge(name, help, read) {
      renderers.push(() => {
        const value = read();
        const samples = typeof value === 'number' ? [{ labels: {}, value }] : value;
        return (
          head(name, help, 'gauge') + samples.map((sample) => `${name}${labelText(sample.labels)} ${sample.value}\n`).join('')
        );
      });
    },
    histogram(name, help, { buckets, labels = {} }) {
      const series = createSeries(labels);
      const width = buckets.length + 1;
      const counts = new Float64Array(series.count * width);
      const sums = new Float64Array(series.count);
      const totals = new Float64Array(series.count);
      const renderOne = (text: string, index: number): string => {
        let cumulative = 0;
        const lines = [...buckets, Infinity].map((bound, bucket) => {
          cumulative += counts[index * width + bucket] as number;
          const le = `le="${bound === Infinity ? '+Inf' : bound}"`;
          return `${name}_bucket${text === '' ? `{${le}}` : `${text.slice(0, -1)},${le}}`} ${cumulative}\n`;
        });
        return `${lines.join('')}${name}_sum${text} ${sums[index]}\n${name}_count${text} ${totals[index]}\n`;
      };
      renderers.push(() => head(name, help, 'histogram') + series.render(totals, renderOne));
      return {
        observe(value, ...values) {
          const index = series.indexOf(values);
          let bucket = 0;
          while (bucket < buckets.length && value > (buckets[bucket] as number)) bucket++;
          const place = index * width + bucket;
          counts[place] = (counts[place] as number) + 1;
          sums[index] = (sums[index] as number) + value;
          totals[index] = (totals[index] as number) + 1;
        },
      };
    },
    render: () => renderers.map((render) => render()).join(''),
  };
}

interface Series {
  readonly count: number;
  indexOf(values: readonly string[]): number;
  /** Renders the series that have been used (a total above 0), or all of a metric without labels. */
  render(totals: Float64Array, one: (labelText: string, index: number) => string): string;
}

function createSeries(labels: Labels): Series {
  const names = Object.keys(labels);
  const places = names.map(
    (name) => new Map([...new Set([...(labels[name] ?? []), OTHER])].map((value, index) => [value, index])),
  );
  const count = places.reduce((product, place) => product * place.size, 1);
  if (count > SERIES_MAX)
    throw new RangeError(`a metric with labels ${names.join(', ')} could have ${count} series, more than ${SERIES_MAX}`);
  const texts = Array.from({ length: count }, (_, index) => {
    let rest = index;
    const values: Record<string, string> = {};
    for (let i = names.length - 1; i >= 0; i--) {
      const place = places[i] as Map<string, number>;
      values[names[i] as string] = [...place.keys()][rest % place.size] as string;
      rest = Math.floor(rest / place.size);
    }
    return labelText(Object.fromEntries(names.map((name) => [name, values[name] as string])));
  });
  return {
    count,
    indexOf(values) {
      let index = 0;
      for (let i = 0; i < places.length; i++) {
        const place = places[i] as Map<string, number>;
        index = index * place.size + (place.get(values[i] ?? OTHER) ?? (place.get(OTHER) as number));
      }
      return index;
    },
    render: (totals, one) =>
      texts.map((text, index) => (names.length === 0 || (totals[index] as number) > 0 ? one(text, index) : '')).join(''),
  };
}

const head = (name: string, help: string, type: string): string => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
