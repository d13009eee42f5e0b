/** A demo that is served, with the built program: its store, its commands, its pages. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { type Program, runProgram, start } from './program.ts';

let folder: string;
let config: string;
let demo: Program;
let told = '';

const ended = (what: RegExp): Promise<void> =>
  new Promise((resolve, reject) => {
    const look = () => what.test(told) && resolve();
    demo.child.stdout?.on('data', (chunk) => {
      told += chunk;
      look();
    });
    demo.child.once('close', () => reject(new Error(`the demo has ended: ${told.slice(-2_000)}`)));
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  config = join(folder, 'demo.toml');
  demo = start(['demo', '--serve', '--folder', folder, '--port', '0']);
  await ended(/Ctrl-C/);
}, 200_000);
afterAll(async () => {
  demo.child.kill('SIGTERM');
  await demo.ended;
  rmSync(folder, { recursive: true, force: true });
});

test('it says what to try, and each of that works beside it', async () => {
  const [, ...steps] = told.slice(told.indexOf('Try next')).split('\n');
  const commands = steps.filter((line) => /^ {2}\S/.test(line)).map((line) => line.trim());
  expect(commands).toHaveLength(5);
  for (const command of commands) {
    const [, args = ''] = /(?:kmod-gate|main\.js) (.*)/.exec(command) ?? [];
    const words = [...args.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
    const { code, stderr } = await runProgram(...words);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  }
}, 60_000);

test('links lead to pages that are there', async () => {
  const { stdout } = await runProgram('explain', 'kernel-6.1.187-53.el9', '-c', config, '--json');
  const urls = [...new Set([...stdout.matchAll(/"(http:[^"]+\/koji\/[^"]+)"/g)].map(([, url = '']) => url))];
  expect(urls.length).toBeGreaterThan(10);
  for (const url of urls) {
    const response = await fetch(url);
    expect([url, response.status]).toEqual([url, 200]);
  }
  const task = JSON.parse(stdout).runs[0].kmods.find(
    ({ outcome }: { outcome: string }) => outcome === 'broken',
  );
  const page = await (await fetch(task.tasks[0].url)).text();
  expect(page).toMatch(/failed/);
  const below = /href="(taskinfo[^"]+)">task \d+<\/a> buildArch/.exec(page)?.[1] ?? '';
  const arch = await (await fetch(new URL(below, task.tasks[0].url))).text();
  const log = /href="(getfile[^"]+build\.log)"/.exec(arch)?.[1]?.replaceAll('&amp;', '&') ?? '';
  expect(await (await fetch(new URL(log, task.tasks[0].url))).text()).toContain('nl_handler.c:205:21: error');
}, 60_000);

test('no page of another site can bring a kernel', async () => {
  const { server } = loadConfig(config).koji;
  const response = await fetch(new URL('/demo/kernel', server), { method: 'POST' });
  expect(response.status).toBe(403);
});

test('a second demo leaves the store of the first alone', async () => {
  const { code, stderr } = await runProgram('demo', '--serve', '--folder', folder, '--port', '0');
  expect(stderr).toBe(`a demo runs with ${folder} already; end it, or name another folder with --folder\n`);
  expect(code).toBe(2);
  expect(existsSync(join(folder, 'demo.db'))).toBe(true);
  expect(readFileSync(config, 'utf8')).toContain('demo.db');
});

test('where none runs, the command says how to start one', async () => {
  const { code, stderr } = await runProgram('demo', 'kernel', '--folder', join(folder, 'none'));
  expect(stderr).toMatch(/^no demo runs with \S+none; start one in another terminal: .* demo --serve\n$/);
  expect(code).toBe(2);
});
