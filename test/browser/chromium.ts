/** The browser of the tests: Debian's Chromium, and which pages it looks at. */
import { BLOCKED, CULPRIT, RUNNING } from './demo.ts';

export const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Root in a container has no sandbox, and little shared memory. */
export const LAUNCH = {
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
};

/** Every kind of page, by name. */
export const PAGES = {
  overview: '/',
  filtered: '/?gate=c9s&verdict=block&kmod=kmod-*',
  runs: '/runs',
  blocked: `/kernel/${BLOCKED}`,
  running: `/kernel/${RUNNING}`,
  passed: '/kernel/kernel-6.1.192-56.el9',
  kmod: `/kmod/${CULPRIT}`,
  'kmod-fine': '/kmod/kmod-vpoll',
  symbol: '/symbol/genl_register_family',
  cause: '/cause/struct/genl_split_ops',
  waivers: '/waivers',
  missing: '/kernel/kernel-9-9',
} as const;
