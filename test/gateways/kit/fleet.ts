import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { wireTo, type Wire } from '../../../src/gateway/tenants/tenants-kit.fixture.ts';
import { startReplica, type Script, type ScriptedReplica } from '../../gateway/kit/scripted-replica.ts';
import { eventually } from './eventually.ts';
import { gatewayProcess, type GatewayProcess } from './gateway-process.ts';

const POSTGRES = process.env.PLIMSOLL_TEST_POSTGRES;
export const REDIS = process.env.PLIMSOLL_TEST_REDIS;
export const isPossible = POSTGRES !== undefined && REDIS !== undefined;
export const because = isPossible
  ? ''
  : ' (skipped: PLIMSOLL_TEST_POSTGRES and PLIMSOLL_TEST_REDIS name no servers; scripts/with-postgres.sh scripts/with-redis.sh start them)';

/** Several gateways, each with a data folder of its own, that share a database, a Redis, a pepper and a replica. */
export interface Fleet {
  readonly gateways: readonly GatewayProcess[];
  readonly replica: ScriptedReplica;
  /** The way to PostgreSQL, that all of them take. */
  readonly wire: Wire;
  /** The only first keys that there are. */
  readonly first: { readonly api_key: string; readonly admin_key: string };
  /** Data folders that hold first keys. */
  readonly firstKeyFiles: readonly string[];
  /** Makes an API key in an organization of its own, and waits until every gateway knows it. */
  newKey(how?: NewKey): Promise<MadeKey>;
  close(): Promise<void>;
}

export interface NewKey {
  readonly limits?: Readonly<Record<string, { readonly limit?: number; readonly burst?: number }>>;
  /** Of its organization. */
  readonly settings?: object;
}
export interface MadeKey {
  readonly id: string;
  readonly organization: string;
  readonly secret: string;
  /** From the answer that made it until every gateway took it, ms. */
  readonly knownMs: number;
}

/** What a change takes to reach gateways that nothing is wrong with; a second, and what a loaded machine adds. */
export const HEARD_WITHIN_MS = 2_000;

export interface FleetOptions {
  /** Of gateways. */
  readonly size: number;
  readonly redis: string;
  readonly script: Script;
  /** Lines of the configuration under `limits`. */
  readonly limits?: readonly string[];
}

/** Starts all gateways at once, on a database that is empty. */
export async function startFleet({ size, redis, script, limits = [] }: FleetOptions): Promise<Fleet> {
  const ends: (() => unknown)[] = [];
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-gateways-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const wire = await wireTo(await newDatabase(ends));
  ends.push(() => wire.close());
  const replica = await startReplica(script, (close) => void ends.push(close));
  const configFile = path.join(folder, 'plimsoll.yaml');
  writeFileSync(
    configFile,
    [
      `stores: { control: "${wire.url}", limits: "${redis}" }`,
      'keys: { pepper: "env:FLEET_PEPPER" }',
      `pools: [ { id: harbor, dialect: anthropic, replicas: [ { id: eu-1, url: "${replica.url}" } ] } ]`,
      'models:',
      ...['harbor-1', 'harbor-2'].map(
        (id) => `  - { id: ${id}, serve: [ { pool: harbor } ], price: { input: 1000000, output: 1000000 } }`,
      ),
      'limits:',
      '  unknown_keys_per_minute: 1000000',
      ...limits.map((line) => `  ${line}`),
    ].join('\n'),
  );
  const firstKeyFiles: string[] = [];
  const first = { api_key: '', admin_key: '' };
  const environment = { FLEET_PEPPER: randomBytes(32).toString('hex') };
  const gateways = await Promise.all(
    Array.from({ length: size }, (_, at) => {
      const own = path.join(folder, `gateway-${at}`);
      mkdirSync(own);
      return gatewayProcess({ folder: own, configFile, environment, adminKey: () => first.admin_key });
    }),
  );
  const close = async (): Promise<void> => {
    await Promise.all(gateways.map((gateway) => gateway.kill()));
    for (const end of ends.toReversed()) await end();
  };
  try {
    await Promise.all(gateways.map((gateway) => gateway.start()));
    const files = gateways.map(({ dataDirectory }) => path.join(dataDirectory, 'first-keys.json'));
    firstKeyFiles.push(...files.filter((file) => existsSync(file)));
    Object.assign(first, JSON.parse(readFileSync(firstKeyFiles[0] ?? '', 'utf8')));
  } catch (error) {
    await close();
    throw error;
  }
  const made = async (route: string, body: object): Promise<MadeKey> => {
    const answer = await (gateways[0] as GatewayProcess).admin('POST', route, body);
    if (answer.status !== 200 && answer.status !== 201) throw new Error(`${route}: ${JSON.stringify(answer)}`);
    return answer.body as unknown as MadeKey;
  };
  return {
    gateways,
    replica,
    wire,
    first,
    firstKeyFiles,
    async newKey({ limits: own = {}, settings = {} } = {}) {
      const organization = (await made('organizations', { name: 'Harbor', ...settings })).id;
      const workspace = (await made('workspaces', { name: 'Quay', organization })).id;
      const key = await made('keys', { name: 'crane', organization, workspace, limits: own });
      const known = gateways.map((gateway) =>
        eventually(() => gateway.knows(key.secret), `${gateway.port} knows it`, HEARD_WITHIN_MS),
      );
      return { ...key, organization, knownMs: Math.max(...(await Promise.all(known))) };
    },
    close,
  };
}

/** @returns its URL */
async function newDatabase(ends: (() => unknown)[]): Promise<string> {
  const name = `plimsoll_gateways_${randomBytes(6).toString('hex')}`;
  const administer = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: POSTGRES });
    await client.connect();
    await client.query(statement);
    await client.end();
  };
  await administer(`create database ${name}`);
  ends.push(() => administer(`drop database ${name} with (force)`));
  const url = new URL(POSTGRES ?? '');
  url.pathname = `/${name}`;
  return url.href;
}
