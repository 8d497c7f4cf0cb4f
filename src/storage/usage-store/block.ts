import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * A batch of records as one value: their JSON texts, one a line, compressed, in base64. The embedded engine's driver writes bytes
 * as hex one by one, which costs more than everything else together.
 */
export function packBlock(lines: Uint8Array): string {
  return zstdCompressSync(lines, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }).toString('base64');
}

/** The lines of a block. */
export function unpackBlock(base64: string): Buffer {
  return zstdDecompressSync(Buffer.from(base64, 'base64'), { maxOutputLength: BLOCK_BYTES_MAX });
}

/** More than any batch holds. */
const BLOCK_BYTES_MAX = 64 * 1024 * 1024;
