/** Secrets that are planted wherever one may stand are looked for wherever something is said. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { OLD, SMALL } from '../scenarios/stage.ts';
import { gateConfig, start } from './program.ts';

/** In each of them, so that all are found by one search, also where a URL spells them in its own way. */
const PLANTED = 'pl4nted';
const HUB = `${PLANTED}-hub`;
const LOGIN = `user:${PLANTED}-url`;

let server: WorldServer;
beforeAll(async () => {
  server = await serveWorld(createWorld(loadScenario(SMALL)));
});
afterAll(() => server.close());

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-secrets-'));
  return () => rmSync(folder, { recursive: true });
});

/** A configuration full of secrets, in a file. */
function configWith(change: (text: string) => string = (text) => text): string {
  const text = gateConfig(server.url, folder)
    .replace('password = "gate-password"', `password = "${HUB}"`)
    .replace(
      '[sweep]',
      `[bus]\nurl = "amqp://${LOGIN}@127.0.0.1:1"\n[http]\nlisten = "127.0.0.1:0"\n[sweep]`,
    );
  const file = join(folder, 'kmod-gate.toml');
  writeFileSync(file, change(text));
  expect(change(text)).toContain(PLANTED);
  return file;
}
const env = { https_proxy: `http://${LOGIN}@127.0.0.1:1`, no_proxy: '127.0.0.1', NO_COLOR: '1' };
const run = (...args: string[]) => start(args, { cwd: folder, env }).ended;

test.each(['json', 'pretty'])(
  'a gate tells none: in its %s log, its pages, its store',
  async (format) => {
    // The hub refuses the password: what goes wrong is told most.
    const gate = start(['run', '--config', configWith(), '--log', format, '--log-level', 'debug'], {
      cwd: folder,
      env,
    });
    const heard = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      gate.child[name]?.on('data', (chunk) => {
        heard[name] += chunk;
      });
    await expect.poll(() => heard.stderr, { timeout: 60_000 }).toMatch(/cannot log in/);
    await expect.poll(() => heard.stderr, { timeout: 60_000 }).toMatch(/127\.0\.0\.1:1\b/);
    const [url = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(heard.stdout) ?? [];
    const paths = [
      '/',
      '/waivers',
      `/kernel/${OLD}`,
      '/api/v1/runs',
      '/api/v1/gates',
      '/readyz',
      '/metrics',
      '/healthz',
      '/nowhere',
      '/%zz',
    ];
    const pages = await Promise.all(paths.map(async (path) => (await fetch(`${url}${path}`)).text()));
    expect(pages.filter((page) => page !== '')).toHaveLength(paths.length);
    gate.child.kill('SIGTERM');
    const { code, stdout, stderr } = await gate.ended;
    expect(code).toBe(0);
    const stored = readdirSync(folder).filter((file) => file.startsWith('kmod-gate.db'));
    expect(stored).not.toEqual([]);
    const said = [
      stdout,
      stderr,
      ...pages,
      ...stored.map((file) => readFileSync(join(folder, file), 'latin1')),
    ];
    expect(said.filter((text) => text.includes(PLANTED))).toEqual([]);
  },
  180_000,
);

test.each<[string[], number]>([
  [['config', 'check', 'kmod-gate.toml'], 0],
  [['doctor'], 1],
  [['doctor', '--json'], 1],
  [['status'], 2],
  [['explain', OLD], 2],
  [['backtest', '--since', '180d', '--store', 'past.db'], 0],
])(
  '%j tells none',
  async (args, code) => {
    const file = configWith();
    const ended = await run(...args, ...(args.includes('check') ? [] : ['--config', file]));
    expect(`${ended.stdout}${ended.stderr}`).not.toContain(PLANTED);
    expect({ ...ended }).toMatchObject({ code });
  },
  120_000,
);

test.each<[string, (text: string) => string]>([
  ['a key that is misspelt', (text) => text.replace('password =', 'pasword =')],
  ['a URL of another kind', (text) => text.replace('amqp:', 'ftp:')],
  ['a URL that is none', (text) => text.replace('@127.0.0.1:1', '@127.0.0.1:port')],
  ['a password that is no text', (text) => text.replace(`"${HUB}"`, `["${HUB}"]`)],
  ['a line that is no TOML', (text) => text.replace(`"${HUB}"`, `"${HUB}`)],
])('a mistake in the configuration tells none: %s', async (_what, change) => {
  const { stderr, stdout, code } = await run('config', 'check', configWith(change));
  expect(code).toBe(2);
  expect(`${stdout}${stderr}`).toMatch(/kmod-gate\.toml/);
  expect(`${stdout}${stderr}`).not.toContain(PLANTED);
});
