import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Many tests wait for real servers: two files at a time, whatever the machine has.
  test: { include: ['test/**/*.test.ts'], maxWorkers: 2, testTimeout: 30_000, hookTimeout: 30_000 },
});
