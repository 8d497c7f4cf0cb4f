/** Things that could not be carried over as they were, and why; alike ones stand together. */
export interface Leftover {
  /** `changed`: carried over, but not the same. `left`: not carried over. */
  readonly kind: 'changed' | 'left';
  readonly because: string;
  /** Names of keys, teams, settings; never a secret. */
  readonly of: readonly string[];
}

export interface Leftovers {
  readonly left: (name: string, because: string) => void;
  readonly changed: (name: string, because: string) => void;
  readonly list: () => readonly Leftover[];
}

/** Collects what could not be carried over. */
export function collectLeftovers(): Leftovers {
  const groups = new Map<string, { readonly kind: Leftover['kind']; readonly because: string; readonly of: Set<string> }>();
  const add = (kind: Leftover['kind'], name: string, because: string): void => {
    const group = groups.get(kind + because) ?? { kind, because, of: new Set<string>() };
    groups.set(kind + because, group);
    group.of.add(name);
  };
  return {
    left: (name, because) => add('left', name, because),
    changed: (name, because) => add('changed', name, because),
    list: () => Array.from(groups.values(), ({ of, ...group }) => ({ ...group, of: [...of] })),
  };
}
