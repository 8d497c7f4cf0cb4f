import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { askAdmin, createFleet, make } from '../kit/admin.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import type { GatewayUnderTest } from '../kit/gateway-process.ts';
import { askGateway } from '../kit/lab.ts';
import { startLink } from '../kit/link.ts';
import { noPostgres, startPostgres } from '../kit/servers.ts';
import { startStopwatch, until } from '../kit/stopwatch.ts';

/** What is promised for gateways that can be reached, ms. */
const HEARD_MS_MAX = 5_000;
/** A silence counts after three seconds; and what timers and scrapes may add, ms. */
const SILENCE_MS = 3_000;
const LATE_MS = 1_500;
/** A gateway tries again every five seconds at least, each wait up to a fifth longer. */
const HEALED_MS_MAX = 8_000;

export const revokedKey: FailureEntry = {
  id: 'B10',
  component: 'keys',
  failure: 'A revoked key is still accepted',
  effect: 'Abuse goes on with a key that was taken away',
  signal:
    'The answer to the revocation names the gateways that have not applied it; plimsoll_tenants_cut_off_seconds on those; the audit log has the revocation',
  response:
    'It is refused where it was revoked at once, and within seconds wherever the control store can be heard; a gateway that is cut off goes on refusing what it has heard of, and does with the rest what the organization says: serve, or refuse after a stated time; when it hears again, the key is refused there too',
  severity: 1,
  injection:
    'Two gateways on one PostgreSQL. Canary keys are revoked at one: first with both connected, then while no byte passes between the other and the store, for an organization that serves when cut off and for one that refuses at once; then bytes pass again',
  obstacle: noPostgres,
  boundMs: 60_000,
  async provoke(lab) {
    const postgres = await lab.keep(startPostgres());
    const link = await lab.keep(startLink(postgres.port));
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const start = createFleet(lab, {
      pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
      // A key that was revoked is one that nobody has, and is asked for here more often than a guesser may.
      config: { limits: { unknown_keys_per_minute: 1_000_000 } },
    });
    const near = await start('near', postgres.url);
    const far = await start('far', postgres.url.replace(`:${postgres.port}/`, `:${link.port}/`));
    const both = [near, far];
    const canaries = await makeCanaries(near);
    const all = Object.values(canaries);
    const known = await until(async () => (await statuses(far, all)).every((status) => status === 200), HEARD_MS_MAX);
    if (known === null) throw new NotProvoked('the canary keys were not accepted before');

    // Both can hear.
    const heard = startStopwatch();
    const [told, refusedMs] = await Promise.all([
      revoke(near, canaries.heard),
      Promise.all(both.map((gateway) => untilRefused(gateway, canaries.heard, HEARD_MS_MAX))),
    ]);
    const toldMs = heard();

    // One cannot.
    link.cut();
    const cut = startStopwatch();
    const revoking = Promise.all([revoke(near, canaries.serve), revoke(near, canaries.refuse)]);
    const hereMs = await Promise.all([canaries.serve, canaries.refuse].map((canary) => untilRefused(near, canary, HEARD_MS_MAX)));
    const noticed = await until(
      async () => (await far.metrics()).sum('plimsoll_tenants_cut_off_seconds') > 0,
      SILENCE_MS + 2 * LATE_MS,
    );
    const noticedMs = cut();
    const atFar = await statuses(far, all);
    const [goodAtNear, goodAtFar] = await Promise.all(both.map((gateway) => statusOf(gateway, near.key)));
    const answers = await revoking;
    const cutSeconds = (await far.metrics()).sum('plimsoll_tenants_cut_off_seconds');
    const nearSeconds = (await near.metrics()).sum('plimsoll_tenants_cut_off_seconds');
    const cutMs = cut();

    // And hears again.
    link.heal();
    const healed = startStopwatch();
    const back = await until(async () => (await statuses(far, all)).every((status) => status === 401), HEALED_MS_MAX);
    const healedMs = healed();
    const secondsAfter = await until(async () => (await far.metrics()).sum('plimsoll_tenants_cut_off_seconds') === 0, LATE_MS);
    const audit = await askAdmin(near, 'GET', 'audit?limit=100');
    const audited = all.filter(({ id }) =>
      audit.said.data?.some(({ act, subject }) => act === 'key.revoke' && subject === id),
    ).length;

    const slowestMs = Math.max(...refusedMs.map((ms) => ms ?? Infinity));
    const unheard = answers.map(({ said }) => said.not_acknowledged ?? []);
    return [
      response('where the store can be heard it is refused within seconds', slowestMs <= HEARD_MS_MAX, {
        saw: refusedMs.map((ms, at) => `gateway ${at + 1} ${ms === null ? 'still accepts it' : `after ${ms} ms`}`).join(', '),
        afterMs: Number.isFinite(slowestMs) ? slowestMs : null,
      }),
      response(
        'where it was revoked it is refused, whoever else is cut off',
        hereMs.every((ms) => ms !== null && ms < 1_000),
        {
          saw: hereMs.map((ms) => (ms === null ? 'still accepted' : `after ${ms} ms`)).join(', '),
        },
      ),
      response(
        'one that is cut off does what each organization says, and goes on refusing what it had heard of',
        atFar.join() === '401,200,503' && goodAtNear === 200 && goodAtFar === 200,
        {
          saw: `cut off: heard of before ${atFar[0]}, revoked since ${atFar[1]} where the organization serves, ${atFar[2]} where it refuses; keys in good order ${goodAtNear} and ${goodAtFar}`,
        },
      ),
      response('when it hears again, every revoked key is refused there too', back !== null, {
        saw: back === null ? `not within ${HEALED_MS_MAX} ms` : `after ${healedMs} ms`,
      }),
      signal(
        'the answer to a revocation names who has not applied it',
        told.said.acknowledged?.length === 2 &&
          told.said.not_acknowledged?.length === 0 &&
          unheard.every((missing) => missing.length === 1 && (missing[0]?.seen_ms_ago ?? 0) > 1_000),
        {
          saw: `both connected: ${told.said.acknowledged?.length} acknowledged, after ${toldMs} ms; one cut off: ${unheard.map((missing) => `${missing.length} not, last heard of ${missing[0]?.seen_ms_ago} ms before`).join('; ')}`,
          afterMs: toldMs,
        },
      ),
      signal(
        'the gateway that is cut off says so, and since when',
        noticed !== null &&
          nearSeconds === 0 &&
          cutSeconds * 1000 > SILENCE_MS &&
          cutSeconds * 1000 <= cutMs + LATE_MS &&
          secondsAfter !== null,
        {
          saw: `plimsoll_tenants_cut_off_seconds ${cutSeconds} after ${(cutMs / 1000).toFixed(1)} s, ${nearSeconds} on the other, ${secondsAfter === null ? 'not 0' : '0'} afterwards`,
          afterMs: noticedMs,
        },
      ),
      signal('the audit log has each revocation', audited === all.length, { saw: `${audited} of ${all.length}` }),
    ];
  },
};

interface Canary {
  readonly id: string;
  readonly secret: string;
}

/** Keys to revoke: with both connected, and of an organization that serves when cut off, and of one that refuses. */
async function makeCanaries(gateway: GatewayUnderTest): Promise<Readonly<Record<'heard' | 'serve' | 'refuse', Canary>>> {
  const strict = await make(gateway, 'organizations', { name: 'strict', when_cut_off: { kind: 'refuse', after_seconds: 0 } });
  const workspace = await make(gateway, 'workspaces', { organization: strict.id, name: 'strict' });
  const key = async (of: object): Promise<Canary> => {
    const { id = '', secret = '' } = await make(gateway, 'keys', { name: 'canary', ...of });
    return { id, secret };
  };
  const first = { workspace: 'ws_first' };
  return {
    heard: await key(first),
    serve: await key(first),
    refuse: await key({ organization: strict.id, workspace: workspace.id }),
  };
}

const revoke = (gateway: GatewayUnderTest, { id }: Canary) => askAdmin(gateway, 'POST', `keys/${id}/revoke`);

const statusOf = async (gateway: GatewayUnderTest, key: string): Promise<number> =>
  (await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello'), key }).answer).status;

const statuses = (gateway: GatewayUnderTest, canaries: readonly Canary[]): Promise<number[]> =>
  Promise.all(canaries.map(({ secret }) => statusOf(gateway, secret)));

/** @returns after how many ms a key was refused as one that nobody has; null when it was not */
async function untilRefused(gateway: GatewayUnderTest, { secret }: Canary, withinMs: number): Promise<number | null> {
  const elapsed = startStopwatch();
  const refused = await until(async () => (await statusOf(gateway, secret)) === 401, withinMs);
  return refused === null ? null : elapsed();
}
