import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { acceptsConnections } from '../host/accepts-connections.ts';
import { startPinned } from '../host/pinned.ts';
import { findFreePort, waitUntilUp } from '../host/ports.ts';
import type { System } from './system.ts';

/** nginx as a plain proxy: what a web server in C costs, with nothing of a gateway in it. */
export const nginx: System = {
  name: 'nginx',
  about: 'one worker, keep-alive to the upstream, buffering off, no access log',
  dialects: ['anthropic', 'openai'],
  async install() {
    await nginxVersion();
  },
  async start(place) {
    const port = await findFreePort();
    const configuration = path.join(place.folder, 'nginx.conf');
    for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(path.join(place.folder, name));
    writeFileSync(configuration, configurationFor(place.folder, port, place.upstreamPort));
    const started = await startPinned({
      core: place.core,
      command: 'nginx',
      args: ['-p', place.folder, '-c', configuration, '-e', path.join(place.folder, 'error.log')],
    });
    await waitUntilUp(started, () => acceptsConnections(port), 5000);
    return { pid: started.pid, port, version: await nginxVersion(), stop: () => started.stop() };
  },
};

async function nginxVersion(): Promise<string> {
  try {
    const { stderr } = await promisify(execFile)('nginx', ['-v']);
    return stderr.trim().replace('nginx version: ', '');
  } catch (error) {
    throw new Error('nginx is not installed (Debian: apt-get install nginx-light)', { cause: error });
  }
}

/** Keep-alive is unlimited on both sides, so that no connection is made anew in the middle of a run. */
function configurationFor(folder: string, port: number, upstreamPort: number): string {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `
    ${user}
    daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log crit; worker_rlimit_nofile 16384;
    events { worker_connections 8192; }
    http {
      access_log off; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300s; client_max_body_size 40m;
      client_body_buffer_size 1m; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
      upstream mock { server 127.0.0.1:${upstreamPort}; keepalive 1024; keepalive_requests 100000000; keepalive_timeout 300s; }
      server {
        listen 127.0.0.1:${port} backlog=4096;
        location / {
          proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
          proxy_buffering off; proxy_request_buffering on; proxy_read_timeout 600s;
        }
      }
    }
  `;
}
