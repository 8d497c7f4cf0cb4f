import { randomBytes } from 'node:crypto';
import { NotProvoked } from '../entry.ts';
import type { GatewayUnderTest } from './gateway-process.ts';
import { configOf, type Lab, type PartialConfig, type Setting } from './lab.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
  /** What it says, of which nothing is certain. */
  readonly said: {
    readonly id?: string;
    readonly secret?: string;
    readonly data?: readonly {
      readonly id?: string;
      readonly act?: string;
      readonly actor?: string;
      readonly subject?: string;
    }[];
    readonly next_after?: string | number | null;
    readonly broken_at?: number | null;
    readonly entries?: number;
    readonly acknowledged?: readonly object[] | null;
    readonly not_acknowledged?: readonly { readonly seen_ms_ago?: number }[] | null;
  };
}

/** Asks the admin API of a gateway, under `/admin/v1/`. */
export async function askAdmin(
  gateway: GatewayUnderTest,
  method: 'GET' | 'POST' | 'PATCH' | 'PUT',
  path: string,
  { body, key }: { readonly body?: object | undefined; readonly key?: string } = {},
): Promise<AdminAnswer> {
  const { status, body: text } = await gateway.operator(`/admin/v1/${path}`, {
    method,
    ...(body === undefined ? {} : { body }),
    ...(key === undefined ? {} : { key }),
  });
  return { status, text, said: parse(text) };
}

/** Makes what an entry needs. */
export async function make(gateway: GatewayUnderTest, path: string, body: object): Promise<AdminAnswer['said']> {
  const { status, said, text } = await askAdmin(gateway, path === 'end_users' ? 'PUT' : 'POST', path, { body });
  if (status >= 400 || status === 0) throw new NotProvoked(`${path} could not be made: ${status} ${text.slice(0, 200)}`);
  return said;
}

function parse(text: string): AdminAnswer['said'] {
  try {
    return JSON.parse(text) as AdminAnswer['said'];
  } catch {
    return {};
  }
}

/** Gateways that share a control store; the first of them makes the first tenants. */
export function createFleet(
  lab: Lab,
  { pools, config = {} }: Setting,
): (name: string, controlUrl: string) => Promise<GatewayUnderTest> {
  const environment = { FAILURES_PEPPER: randomBytes(32).toString('hex') };
  let keys: Pick<GatewayUnderTest, 'key' | 'adminKey'> | null = null;
  return async (name, control) => {
    const own: PartialConfig = { ...config, stores: { ...config.stores, control }, keys: { pepper: 'env:FAILURES_PEPPER' } };
    const started = await lab.tryGateway({ config: configOf(pools, own), name, environment, ...(keys === null ? {} : { keys }) });
    if (started.kind === 'refused') throw new NotProvoked(`no gateway could be started: ${started.said.trim().slice(-400)}`);
    const { gateway } = started;
    keys ??= { key: gateway.key, adminKey: gateway.adminKey };
    return gateway;
  };
}
