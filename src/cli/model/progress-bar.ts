const BAR_CELLS = 30;
const REDRAW_MS = 100;

export interface ProgressBar {
  update(bytes: number): void;
  end(): void;
}

/** A bar on a terminal's standard error; nothing anywhere else. */
export function createProgressBar(label: string, totalBytes: number | null, nowMs: () => number): ProgressBar {
  const { stderr } = process;
  if (!stderr.isTTY) return { update: () => undefined, end: () => undefined };
  const startedMs = nowMs();
  let drawnMs = Number.NEGATIVE_INFINITY;
  return {
    update(bytes) {
      if (nowMs() - drawnMs < REDRAW_MS) return;
      drawnMs = nowMs();
      stderr.write(`\r${drawProgress(label, { bytes, totalBytes, elapsedMs: drawnMs - startedMs })}\u001b[K`);
    },
    end: () => stderr.write('\r\u001b[K'),
  };
}

interface Progress {
  readonly bytes: number;
  readonly totalBytes: number | null;
  readonly elapsedMs: number;
}

export function drawProgress(label: string, { bytes, totalBytes, elapsedMs }: Progress): string {
  const rate = elapsedMs > 0 ? ` ${(bytes / 1000 / elapsedMs).toFixed(1)} MB/s` : '';
  if (totalBytes === null || totalBytes === 0) return `${label} ${megabytes(bytes)} MB${rate}`;
  const share = Math.min(1, bytes / totalBytes);
  const full = Math.floor(share * BAR_CELLS);
  const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full);
  return `${label} ${bar} ${Math.floor(share * 100)} % ${megabytes(bytes)}/${megabytes(totalBytes)} MB${rate}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
