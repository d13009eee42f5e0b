import { defineConfig } from 'vitest/config';

/** For `npm run test:hub`: a hub may be far away and busy. */
export default defineConfig({
  test: {
    include: ['test/hub/any.hub.ts'],
    reporters: ['verbose'],
    disableConsoleIntercept: true,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
