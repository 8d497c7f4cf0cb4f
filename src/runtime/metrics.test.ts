import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

test('a label value that was not declared is counted as other, so strangers cannot grow the metrics', () => {
  const metrics = createMetrics();
  const requests = metrics.counter('requests_total', 'Requests.', { outcome: ['answered', 'refused'], model: ['m'] });
  requests.add(1, 'answered', 'm');
  requests.add(2, 'answered', 'm');
  for (let i = 0; i < 1000; i++) requests.add(1, 'answered', `/wp-admin/${i}`);
  const lines = metrics.render().trimEnd().split('\n');
  expect(lines).toEqual([
    '# HELP requests_total Requests.',
    '# TYPE requests_total counter',
    'requests_total{outcome="answered",model="m"} 3',
    'requests_total{outcome="answered",model="other"} 1000',
  ]);
});

test('a histogram renders cumulative buckets, a sum and a count', () => {
  const metrics = createMetrics();
  const seconds = metrics.histogram('wait_seconds', 'Waiting.', { buckets: [0.1, 1], labels: { stage: ['place'] } });
  for (const value of [0.05, 0.1, 0.5, 7]) seconds.observe(value, 'place');
  expect(metrics.render()).toContain(
    [
      'wait_seconds_bucket{stage="place",le="0.1"} 2',
      'wait_seconds_bucket{stage="place",le="1"} 3',
      'wait_seconds_bucket{stage="place",le="+Inf"} 4',
      'wait_seconds_sum{stage="place"} 7.65',
      'wait_seconds_count{stage="place"} 4',
    ].join('\n'),
  );
});

test('a gauge is read when it is asked for, and label values are escaped', () => {
  const metrics = createMetrics();
  let open = 1;
  metrics.gauge('open', 'Open.', () => open);
  metrics.gauge('info', 'About.', () => [{ labels: { version: 'a"b\\c\nd' }, value: 1 }]);
  open = 5;
  expect(metrics.render()).toContain('open 5\n');
  expect(metrics.render()).toContain('info{version="a\\"b\\\\c\\nd"} 1');
});

test('a metric that could have too many series does not start', () => {
  const many = Array.from({ length: 200 }, (_, index) => `v${index}`);
  expect(() => createMetrics().counter('c', 'C.', { a: many, b: many })).toThrow(/series/);
});
