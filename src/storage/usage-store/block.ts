import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** A batch of records as one value: their JSON texts, one a line, compressed. JSON holds no raw line break. */
export function packBlock(records: readonly string[]): Uint8Array {
  return zstdCompressSync(records.join('\n'), { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
}

/** The JSON texts of a block. */
export function unpackBlock(payload: Uint8Array): string[] {
  return zstdDecompressSync(payload, { maxOutputLength: BLOCK_BYTES_MAX }).toString('utf8').split('\n');
}

/** More than any batch holds: 8,192 bytes a record, 16,384 records. */
const BLOCK_BYTES_MAX = 128 * 1024 * 1024;
