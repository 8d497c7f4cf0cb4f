import type { Interval, RuleReport } from '#core/abuse';
import { renderTable } from '../table.ts';
import type { Trial } from './rules-test.ts';

/** A trial, for a terminal. */
export function renderTrial({ report, rules, bad, badExamples, lost }: Trial): string {
  const { records, firstMs, lastMs, late, evicted } = report;
  const when = `${at(firstMs)} to ${at(lastMs)}`;
  const tested = report.rules.filter(isTested);
  const table = renderTable(
    [
      'rule',
      'on',
      'asks for',
      'judged',
      'could not tell',
      'fires',
      'about',
      'of',
      'share (95 %)',
      'requests struck (too narrow)',
    ],
    tested.map((one) => [
      one.id,
      rules.find(({ id }) => id === one.id)?.on ?? '',
      one.rung,
      count(one.judged),
      count(one.unmeasured),
      count(one.firings),
      count(one.subjectsFired),
      count(one.subjectsMeasured),
      share(one.subjectsFired, one.subjectsMeasured, one.subjectsFiredShare),
      share(one.requestsStruck, one.requests, one.requestsStruckShare),
    ]),
    { rightFrom: 3, leftLast: false },
  );
  const notes = [
    ...(bad === 0
      ? []
      : [`${count(bad)} lines were no usage records and were passed over:`, ...badExamples.map((one) => `  ${one}`)]),
    ...(lost === 0 ? [] : [`${count(lost)} records could not be read: the journal is damaged there.`]),
    ...(late === 0
      ? []
      : [`${count(late)} records came more than a minute late and were counted for the present: is the input in order?`]),
    ...(evicted === 0
      ? []
      : [
          `${count(evicted)} subjects had to make way: what they did later was judged without what they did before (abuse.subjects_max).`,
        ]),
  ];
  const untested = report.rules.filter((one) => !isTested(one)).map((one) => `  ${one.id}: ${whyUntested(one)}`);
  return [
    `${count(records)} usage records, ${when}. Nothing was done to anybody.`,
    ...notes,
    '',
    ...(tested.length === 0 ? [] : [table]),
    ...(untested.length === 0 ? [] : ['', 'Not tested:', ...untested]),
  ].join('\n');
}

/** A trial, for programs. */
export function trialAsJson({ report, rules, bad, badExamples, lost }: Trial): object {
  return {
    records: report.records,
    first_ms: report.firstMs,
    last_ms: report.lastMs,
    late: report.late,
    evicted: report.evicted,
    bad_lines: bad,
    bad_examples: badExamples,
    lost_records: lost,
    rules: report.rules.map((one) => ({
      rule: one.id,
      on: rules.find(({ id }) => id === one.id)?.on,
      rung: one.rung,
      tested: isTested(one),
      not_tested_because: isTested(one) ? null : whyUntested(one),
      judged: one.judged,
      unmeasured: one.unmeasured,
      missing: one.missing,
      firings: one.firings,
      subjects_measured: one.subjectsMeasured,
      subjects_fired: one.subjectsFired,
      subjects_fired_share: one.subjectsFiredShare,
      requests: one.requests,
      requests_struck: one.requestsStruck,
      requests_struck_share: one.requestsStruckShare,
    })),
  };
}

/** A rule that could tell of nobody has not been tested, whatever it did not do. */
const isTested = ({ notRecorded, subjectsMeasured }: RuleReport): boolean => notRecorded.length === 0 && subjectsMeasured > 0;

function whyUntested({ notRecorded, judged, missing }: RuleReport): string {
  if (notRecorded.length > 0) return `usage records do not carry ${notRecorded.join(', ')}`;
  if (judged === 0) return 'there was nobody to ask about';
  const known = Object.entries(missing).toSorted(([, one], [, other]) => other - one);
  return `nothing could be told of anybody: ${known.map(([signal, times]) => `${signal} was not known ${count(times)} times`).join(', ')}`;
}

function share(hits: number, total: number, interval: Interval | null): string {
  if (interval === null || total === 0) return '–';
  return `${percent(hits / total)} (${percent(interval.lower)}–${percent(interval.upper)})`;
}

const percent = (ratio: number): string => `${(100 * ratio).toFixed(ratio < 0.1 ? 2 : 1)} %`;
const count = (value: number): string => value.toLocaleString('en-US');
const at = (ms: number | null): string => (ms === null ? '–' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z'));
