import type { Command } from 'commander';
import type { AbuseRule } from '#contracts/abuse';
import { createReplay, type ReplayReport } from '#core/abuse';
import { BadAbuseRules, compiledRules, rulesInForce } from '#worker';
import { CannotStart } from '../create-engines.ts';
import { createProgressBar } from '../model/progress-bar.ts';
import { readServeConfig } from '../serve-config.ts';
import { readRules } from './read-rules.ts';
import { openRecords } from './replay-records.ts';
import { renderTrial, trialAsJson } from './render-trial.ts';

/** What came of a trial: what the rules would have done, and what of the input was no record. */
export interface Trial {
  readonly report: ReplayReport;
  readonly rules: readonly AbuseRule[];
  readonly bad: number;
  /** The first few of them, and why. */
  readonly badExamples: readonly string[];
  readonly lost: number;
}

interface TrialOptions {
  readonly replay: string;
  readonly config?: string;
  readonly rules?: string;
  readonly json?: true;
}

/** Registers `plimsoll limit rules test`. */
export function registerRulesTest(rules: Command): void {
  rules
    .command('test')
    .description('what abuse rules would have done on recorded traffic: how often, about how many, and how sure that is')
    .requiredOption(
      '--replay <file>',
      'usage records: a journal or data directory, a file of JSON lines, or - for standard input',
    )
    .option('--config <file>', 'whose rules and thresholds (default: $PLIMSOLL_CONFIG, or ./plimsoll.yaml if it is there)')
    .option('--rules <file>', 'try these rules alone: a YAML list, as under abuse.rules')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      '\nNothing is written anywhere. Exit codes: 0 the rules were tried; 1 the input, the configuration or the rules cannot be read; 2 the command line is wrong.',
    )
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .action(async (options: TrialOptions) => {
      try {
        const trial = await tryRules(options);
        console.log(options.json ? JSON.stringify(trialAsJson(trial)) : renderTrial(trial));
      } catch (error) {
        if (!(error instanceof CannotStart || error instanceof BadAbuseRules)) throw error;
        console.error(`plimsoll: ${error.message}`);
        process.exitCode = 1;
      }
    });
}

/** The same records and rules give the same report: nobody who could choose names against these hashes is watched. */
const SEED = [0x706c696d, 0x736f6c6c] as const;
const EXAMPLES_MAX = 5;

async function tryRules({ replay: place, config, rules: file }: TrialOptions): Promise<Trial> {
  const { abuse } = readServeConfig(config === undefined ? {} : { config }, process.env);
  const rules = file === undefined ? rulesInForce(abuse) : readRules(file);
  if (rules.length === 0) throw new CannotStart('there are no rules to try: abuse.rules is empty, and default_rules is false');
  compiledRules(rules);
  const replay = createReplay(rules, {
    seed: SEED,
    subjectsMax: abuse.subjects_max,
    falseAlarmsPerDay: abuse.false_alarms_per_day,
  });
  const source = openRecords(place, process.stdin);
  const bar = createProgressBar('replaying', source.totalBytes, () => performance.now());
  let [bad, lost] = [0, 0];
  const badExamples: string[] = [];
  try {
    for await (const piece of source.pieces) {
      if (piece.kind === 'record') {
        replay.take(piece.record);
        bar.update(piece.bytes);
      } else if (piece.kind === 'lost') lost += piece.records;
      else if (++bad <= EXAMPLES_MAX) badExamples.push(`${piece.where}: ${piece.because}`);
    }
  } finally {
    bar.end();
  }
  const report = replay.report();
  if (report.records === 0)
    throw new CannotStart(
      [`${place} holds no usage record that can be read`, ...badExamples.map((one) => `  ${one}`)].join('\n'),
    );
  return { report, rules, bad, badExamples, lost };
}
