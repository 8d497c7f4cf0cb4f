import { type Command, InvalidArgumentError } from 'commander';
import { FAILURES } from './failures/catalogue.ts';
import { startGatewayProcess } from './failures/kit/gateway-process.ts';
import { startStopwatch } from './failures/kit/stopwatch.ts';
import {
  listAsJson,
  renderList,
  renderMarkdown,
  renderReport,
  renderSummary,
  reportsAsJson,
} from './failures/report-failures.ts';
import { runFailures } from './failures/run-failures.ts';

/** Registers `plimsoll failures`: what can go wrong, and bringing it about. */
export function registerFailures(program: Command): void {
  const failures = program
    .command('failures')
    .description('what can go wrong, how it shows, what is done about it; and provoking it');
  failures
    .command('list')
    .description('the catalogue: failure, signal, response, and whether it can be run here')
    .option('--json', 'print it as JSON')
    .option('--markdown', 'print the table of docs/failure-modes.md')
    .action(({ json, markdown }: { readonly json?: true; readonly markdown?: true }) => {
      if (json) console.log(JSON.stringify(listAsJson(FAILURES), null, 2));
      else console.log(markdown ? renderMarkdown(FAILURES) : renderList(FAILURES));
    });
  failures
    .command('run')
    .description('provoke failures against real gateways on this machine, and see that each is answered and can be seen')
    .argument('[id...]', 'which ones, as in the list (default: all)')
    .option('--seed <number>', 'decides every draw', wholeNumber, 1)
    .option('--json', 'print what was seen as JSON')
    .addHelpText('after', HELP)
    .action(run);
}

const HELP = `
Everything runs on loopback: gateways in processes of their own with data in a temporary directory, scripted
replicas, and clients. Nothing of yours is touched.

✓ the response happened and the signal was visible; ✗ one of them was not; ? the failure could not be provoked.
Exit codes: 0 all ✓; 1 at least one ✗; 2 the command line is wrong; 3 no ✗, but at least one ?;
130 interrupted.
`;

interface RunFlags {
  readonly seed: number;
  readonly json?: true;
}

async function run(ids: readonly string[], { seed, json }: RunFlags): Promise<void> {
  const wanted = new Set(ids.map((id) => id.toUpperCase()));
  const unknown = [...wanted].filter((id) => !FAILURES.some((entry) => entry.id === id));
  if (unknown.length > 0) {
    console.error(
      `plimsoll failures: no failure is called ${unknown.join(', ')}; known: ${FAILURES.map(({ id }) => id).join(', ')}`,
    );
    process.exitCode = 2;
    return;
  }
  const entries = FAILURES.filter(({ id }) => wanted.size === 0 || wanted.has(id));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(130));
  const elapsed = startStopwatch();
  const isLive = process.stderr.isTTY && !json;
  const reports = await runFailures(entries, {
    startGateway: startGatewayProcess,
    seed,
    onBegin: ({ id, failure }, index) => {
      if (isLive) process.stderr.write(`\r\u001b[2K[${index + 1}/${entries.length}] ${id} ${failure} …`.slice(0, 118));
    },
    onReport: (report) => {
      if (isLive) process.stderr.write('\r\u001b[2K');
      if (!json) console.log(renderReport(report));
    },
  });
  const tookMs = elapsed();
  console.log(json ? JSON.stringify(reportsAsJson(reports, { seed, tookMs }), null, 2) : `\n${renderSummary(reports, tookMs)}`);
  const has = (kind: string): boolean => reports.some(({ verdict }) => verdict.kind === kind);
  process.exitCode = has('fail') ? 1 : has('unmeasured') ? 3 : 0;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0 to 999999999.');
  return Number(text);
}
