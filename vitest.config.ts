import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    // The third lock: one module graph for all tests of a worker, in shuffled order, so that leaked state fails the build.
    isolate: false,
    sequence: { shuffle: true },
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: process.env.CI ? ['default', './scripts/closing-line.mjs'] : ['default'],
  },
});
