// A model process without a model, for tests: it speaks `protocol.ts`, and does what the first turn of the prompt says.
// Lives beside the tests as a real process, because crashes, back-off and closed channels are what they are about.
import { existsSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import type { FromModel, ToModel } from './protocol.ts';

function send(message: FromModel): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function obey(message: ToModel): void {
  switch (message.kind) {
    case 'load': {
      const { modelPath } = message.options;
      if (modelPath === 'missing')
        send({ kind: 'unloadable', failure: { kind: 'model_missing', message: 'there is no file missing' } });
      // A path names a mark on the disk: only the first process that finds none crashes while it loads.
      else if (modelPath.startsWith('/') && !existsSync(modelPath)) {
        writeFileSync(modelPath, '');
        process.kill(process.pid, 'SIGKILL');
      } else send({ kind: 'ready', contextTokens: message.options.contextTokens });
      return;
    }
    case 'count':
      return send({ kind: 'counted', id: message.id, tokens: 7 });
    case 'abort':
      return send({ kind: 'closed', id: message.id });
    case 'generate': {
      const part = message.prompt.turns[0]?.parts[0];
      const script = part?.kind === 'text' ? part.text : '';
      const { id } = message;
      send({ kind: 'event', id, event: { kind: 'start', id: `msg_${id}`, model: message.prompt.model, usage: { input: 1 } } });
      if (script === 'hang') return;
      if (script === 'crash') process.kill(process.pid, 'SIGKILL');
      if (script === 'environment')
        send({
          kind: 'event',
          id,
          event: { kind: 'delta', index: 0, delta: { kind: 'text', text: Object.keys(process.env).join(' ') } },
        });
      send({ kind: 'event', id, event: { kind: 'end' } });
      send({ kind: 'closed', id });
    }
  }
}

process.on('message', obey);
process.on('disconnect', () => process.exit());
