import type { GatewayUnderTest } from './gateway-process.ts';

/** Whether a gateway says that its shared store of limits is away. */
export const isAway = async (gateway: GatewayUnderTest): Promise<boolean> =>
  (await gateway.metrics()).sum('plimsoll_limits_away') === 1;

/** Why, as its status says; `nothing` when it says none. */
export async function awayBecause(gateway: GatewayUnderTest): Promise<string> {
  const { limits } = JSON.parse((await gateway.operator('/admin/v1/status')).body) as {
    readonly limits?: { readonly awayBecause?: string | null };
  };
  return limits?.awayBecause ?? 'nothing';
}
