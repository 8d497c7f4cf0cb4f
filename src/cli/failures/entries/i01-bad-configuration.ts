import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { CLIENT_PATHS, answer, requestOf } from '../kit/answers.ts';
import { askGateway, configOf } from '../kit/lab.ts';
import { each, startStopwatch } from '../kit/stopwatch.ts';

export const badConfiguration: FailureEntry = {
  id: 'I1',
  component: 'configuration',
  failure: 'A configuration is damaged: cut short, doubled, blank, misspelled, beyond a bound, pointing nowhere',
  effect: 'A gateway serves with a policy that nobody wrote, or crashes over and over',
  signal: 'Exit code 1 and a message that names the file, the place in it and what was wrong',
  response:
    'The start is refused; a default never replaces what someone wrote; a gateway that serves already goes on with what it has',
  severity: 1,
  injection: 'Six corruptions of a sound file, each given to a start of its own, beside a gateway that serves',
  async provoke(lab) {
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const config = configOf({ harbor: { dialect: 'anthropic', replicas: [replica.url] } }, {});
    const gateway = await lab.tryGateway({ config, name: 'sound' });
    if (gateway.kind === 'refused') throw new NotProvoked(`the sound file was refused: ${gateway.said.slice(-300)}`);
    const sound = `listen: { port: 0 }\nstores: { control: "postgres://127.0.0.1:1/none" }\nkeys: { pepper: "file:data/pepper" }\npools:\n  - id: harbor\n    dialect: anthropic\n    replicas:\n      - { id: one, url: "${replica.url}" }\nmodels:\n  - id: harbor\n    serve: [ { pool: harbor } ]\nbounds: { requests: 100 }\n`;
    const again = await lab.tryGateway({ config: sound, name: 'sound-text' });
    if (again.kind === 'refused') throw new NotProvoked(`the sound text was refused: ${again.said.slice(-300)}`);

    const elapsed = startStopwatch();
    const starts = await each(Object.entries(corruptionsOf(sound)), 2, async ([name, [text, word]]) => {
      const started = await lab.tryGateway({ config: text, name: name.replaceAll(' ', '-') });
      return { name, word, started };
    });
    const tookMs = elapsed();
    const served = starts.filter(({ started }) => started.kind === 'serving').map(({ name }) => name);
    const isTold = ({ word, started }: (typeof starts)[number]): boolean =>
      started.kind === 'refused' &&
      started.exitCode === 1 &&
      started.said.includes('plimsoll.yaml') &&
      started.said.includes(word) &&
      !started.said.includes('    at ');
    const mute = starts
      .filter((one) => !isTold(one))
      .map(
        ({ name, started }) =>
          `${name}: ${started.kind === 'refused' ? `exit ${started.exitCode}, ${started.said.trim().slice(0, 160)}` : 'served'}`,
      );
    const alive = await askGateway(gateway.gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello') }).answer;
    return [
      response('no damaged file is served', served.length === 0, {
        saw: served.length === 0 ? `${starts.length} of ${starts.length} starts refused` : `served: ${served.join(', ')}`,
        afterMs: Math.round(tookMs / starts.length),
      }),
      response('the gateway that serves goes on', alive.status === 200, { saw: `status ${alive.status}` }),
      signal('each refusal names the file and what was wrong', mute.length === 0, {
        saw: mute.length === 0 ? `${starts.length} of ${starts.length}` : mute.join('; '),
        afterMs: Math.round(tookMs / starts.length),
      }),
    ];
  },
};

/** Each with a word that the message has to have. */
const corruptionsOf = (sound: string): Readonly<Record<string, readonly [text: string, word: string]>> => ({
  'cut short': [sound.slice(0, sound.indexOf('serve:') + 12), 'line'],
  doubled: [sound + sound, 'unique'],
  'a blank field': [sound.replace(/url: ".*"/, 'url: ""'), 'url'],
  misspelled: [sound.replace('dialect:', 'dialekt:'), 'dialect'],
  'beyond a bound': [sound.replace('requests: 100', 'requests: 100000000000'), 'requests'],
  'pointing nowhere': [sound.replace('{ pool: harbor }', '{ pool: elsewhere }'), 'elsewhere'],
});
