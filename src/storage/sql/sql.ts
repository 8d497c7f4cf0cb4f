/** What the stores ask of a PostgreSQL, embedded or served: the same SQL runs on both. */
export interface Sql {
  query(text: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
}

export interface SqlDatabase extends Sql {
  /** Runs `work` in one transaction: all of it or, when it throws, none. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Resolves when what was committed survives a power cut. */
  persist(): Promise<void>;
  close(): Promise<void>;
}

type SqlValue = string | number | null;
export type SqlRow = { readonly [column: string]: unknown };
