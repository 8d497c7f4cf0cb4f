import path from 'node:path';
import type { Config } from '#contracts/config';
import type { StorePlace } from '#storage';

/** Where the usage of a data directory rests: PGlite beside the journal, or the PostgreSQL that the configuration names. */
export function usagePlace(control: Config['stores']['control'], dataDirectory: string): StorePlace {
  return control === 'embedded'
    ? { kind: 'embedded', directory: path.join(dataDirectory, 'store') }
    : { kind: 'postgres', url: control };
}
