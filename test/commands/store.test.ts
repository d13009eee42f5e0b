/** `kmod-gate store copy`, and what PostgreSQL's own tools save and bring back. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openGateStore, openStore, withStore } from '../../src/store/open.ts';
import { installed } from '../services.ts';
import { begun, buildOf, makeHistoryAt } from '../store/history.ts';
import { type Place, POSTGRES, POSTGRES_URL, postgres, SQLITE } from '../store/places.ts';
import { gateConfig, runProgram } from './program.ts';

const has = await postgres();

describe.runIf(has)('a store is moved', () => {
  let sqlite: Place;
  let other: Place;
  beforeEach(async () => {
    [sqlite, other] = [await SQLITE.make(), await POSTGRES.make()];
  });
  afterEach(async () => {
    await sqlite.drop();
    await other.drop();
  });
  const copy = (from: string, to: string) => runProgram('store', 'copy', from, to);
  const back = () => `sqlite:${join(sqlite.folder, 'back.db')}`;
  const sources = () => readdirSync(sqlite.folder).filter((name) => name.startsWith('back'));
  /** What the commands tell of it. */
  async function told(url: string): Promise<string[]> {
    const config = join(sqlite.folder, 'kmod-gate.toml');
    writeFileSync(
      config,
      gateConfig('http://localhost:9/kojihub', '').replace(/^url = .*$/m, `url = "${url}"`),
    );
    const commands = [
      ['status', '--limit', '100', '--json'],
      ['explain', String(buildOf(3)), '--json'],
      ['waivers', '--json'],
    ];
    const answers: string[] = [];
    for (const command of commands) {
      const { code, stdout, stderr } = await runProgram(...command, '--config', config);
      expect([code, stderr]).toEqual([0, '']);
      answers.push(stdout);
    }
    return answers;
  }

  test('from SQLite to PostgreSQL, and back: all commands tell the same', async () => {
    await makeHistoryAt(sqlite, { closed: 20, live: 2, kmods: 3 });
    const before = await told(sqlite.url);
    const there = await copy(sqlite.url, other.url);
    expect([there.code, there.stderr]).toEqual([0, '']);
    expect(there.stdout).toMatch(
      /^Copied 22 kernels, 22 runs, 0 waivers and \d+ lines of the journal: all \d+ rows of 30 tables are there\.\nName the copy in store\.url, and start no gate with the old store any more: both would act\.\n$/,
    );
    expect(await told(other.url)).toEqual(before);
    expect((await copy(other.url, back())).code).toBe(0);
    expect(await told(back())).toEqual(before);
  });

  test('not while a gate uses it, acting or not; and not into a store that is there', async () => {
    await makeHistoryAt(sqlite, { closed: 2, live: 1, kmods: 1 });
    const gate = await openStore(sqlite.url, { mode: 'write' });
    expect(await copy(sqlite.url, other.url)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('gate.db: another kmod-gate uses this store'),
    });
    await gate.close();
    expect((await copy(sqlite.url, other.url)).code).toBe(0);

    const [one, two] = [await openGateStore(other.url, {}), await openGateStore(other.url, {})];
    const term = await one.lease.first();
    expect(await two.lease.first()).toBeUndefined();
    const used = /: a kmod-gate uses this store; stop all that do first\n$/;
    expect(await copy(other.url, back())).toMatchObject({ code: 2, stderr: expect.stringMatching(used) });
    await term?.release();
    await one.store.close();
    // The other one only stands by.
    expect(await copy(other.url, back())).toMatchObject({ code: 2, stderr: expect.stringMatching(used) });
    await two.store.close();
    expect(sources()).toEqual([]);

    expect(await copy(sqlite.url, other.url)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is a store already; name a database or a file that holds nothing yet'),
    });
    expect((await copy(other.url, back())).code).toBe(0);
    expect(existsSync(join(sqlite.folder, 'back.db'))).toBe(true);
  });

  test('no password of a URL is in what it says', async () => {
    const secret = (host: string) => `postgres://kmod-gate:pl4nted@${host}/none`;
    for (const [from, to] of [
      [secret('127.0.0.1:1'), sqlite.url],
      [secret('127.0.0.1:1'), secret('127.0.0.1:1')],
      [`x${secret('h')}`, sqlite.url],
    ] as const) {
      const { code, stderr, stdout } = await copy(from, to);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('kmod-gate');
      expect(stderr).not.toContain('pl4nted');
    }
  });

  test.each<[string, (to: string) => [string, string], RegExp]>([
    ['nothing', (to) => ['sqlite:/nowhere/gate.db', to], /\/nowhere\/gate\.db: no such store/],
    ['no store', (to) => [to, 'sqlite:/tmp/never.db'], /no such store; has "kmod-gate run" been started/],
    ['itself', (to) => [to, to], /is the store that is to be copied/],
    ['what is no URL', (to) => [to, 'gate.db'], /gate\.db: no URL of a store/],
  ])('not from, or to, %s', async (_, urls, words) => {
    const { code, stderr } = await copy(...urls(other.url));
    expect([code, stderr]).toEqual([2, expect.stringMatching(words)]);
    expect(existsSync('/tmp/never.db')).toBe(false);
  });
});

describe.runIf(has && installed('/usr/bin/pg_dump', 'postgresql-client'))('a backup', () => {
  test('of pg_dump, brought back by psql, is the same store, and goes on', async () => {
    const names = ['kept', 'back'].map((name) => `kmod_gate_${name}_${randomBytes(4).toString('hex')}`);
    const url = (name = '') => POSTGRES_URL.replace(/\/[^/]*$/, `/${name}`);
    const [kept = '', back = ''] = names;
    const admin = (command: string) => execFileSync('psql', ['-qd', POSTGRES_URL, '-c', command]);
    const place = await POSTGRES.make();
    try {
      for (const name of names) admin(`CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`);
      await makeHistoryAt({ ...place, url: url(kept) }, { closed: 12, live: 2, kmods: 3 });
      const all = (at: string) =>
        withStore(at, 'read', async (store) => ({
          runs: await store.runs(100),
          waivers: await store.waivers(),
          journal: await store.journal(buildOf(3)),
          id: store.installation,
        }));
      const before = await all(url(kept));
      expect(before.runs).toHaveLength(14);
      const file = join(place.folder, 'kmod-gate.sql');
      execFileSync('pg_dump', ['--no-owner', '-d', url(kept), '-f', file]);
      execFileSync('psql', ['-qv', 'ON_ERROR_STOP=1', '-d', url(back), '-f', file]);
      expect(await all(url(back))).toEqual(before);
      const store = await openStore(url(back), { mode: 'write' });
      const [run] = await store.runs(1);
      if (!run) throw new Error('no run');
      await store.say(run.gate, run.kernel, run.id, 'goes on', begun(100));
      expect((await store.journal(run.kernel.id)).at(-1)).toMatchObject({ text: 'goes on' });
      await store.close();
    } finally {
      for (const name of names) admin(`DROP DATABASE IF EXISTS ${name}`);
      await place.drop();
    }
  });
});
