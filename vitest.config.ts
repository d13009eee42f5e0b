import { defineConfig } from 'vitest/config';

/** They measure what their process holds, or what it has not loaded yet: no other file may have used it. */
const ALONE = [
  'test/btf/hostile.test.ts',
  'test/config/stablelist.test.ts',
  'test/symbols/hostile.test.ts',
  'test/symbols/image.test.ts',
  'test/symbols/payload.test.ts',
  'test/symbols/unpack.test.ts',
];

export default defineConfig({
  test: {
    // Many tests wait for real servers: three files at a time keep two cores busy, and no more whatever the machine has.
    maxWorkers: 3,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      // To load the source and its libraries anew takes longer than most files do.
      {
        extends: true,
        test: { name: 'shared', include: ['test/**/*.test.ts'], exclude: ALONE, isolate: false },
      },
    ],
  },
});
