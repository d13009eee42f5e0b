/** What persons say to a gate: commands in processes of their own, beside a gate that runs before a served hub. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CheckError } from '../../src/commands/error.ts';
import { order, unwaive, type WaiveOptions, waive } from '../../src/commands/people.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { RunReport, WaiverReport } from '../../src/report/report.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { hubUrl, openStore, withStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { type Ended, gateConfig, type Program, runProgram, start } from './program.ts';

/** How much faster simulated time runs than the clock on the wall; it stands still until a test lets it run. */
const FAST = 500;
const TICK = 20;
const NEWEST = 'kernel-6.1.187-53.el9';
const SOON = { timeout: 60_000, interval: 50 };

let folder: string;
let config: string;
let world: World;
let server: WorldServer;
let clock: NodeJS.Timeout;
let speed = 0;
let gate: Program;
/** To see the gate's progress without a process each time. */
let store: Store;

const run = (...args: string[]): Promise<Ended> => runProgram(...args, '--config', config);

/** What a command says; it ends well. */
async function said(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return stdout;
}

/** What a command says that is refused; beyond one of a kind, it is asked in this process, which is faster. */
async function refusal(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect(stdout).toBe('');
  expect(code).toBe(2);
  return stderr.trimEnd();
}

const waiving = (...more: string[]) => ['waive', '--by', 'ada', '--reason', 'the vendor knows', ...more];
const waivers = async (): Promise<WaiverReport[]> =>
  JSON.parse(await said('waivers', '--all', '--json')).waivers;
const quiet = { write() {}, colour: false };
const report = async (nvr: string): Promise<RunReport> =>
  JSON.parse(await said('explain', nvr, '--json')).runs[0];
const closing = async (nvr: string) => {
  const kernel = await store.kernel(nvr);
  return kernel && (await store.latestRun('c9s', kernel.id))?.closing?.how;
};
const lastSaid = async (nvr: string) => {
  const kernel = await store.kernel(nvr);
  return kernel && store.lastSaid('c9s', kernel.id);
};
const TRIED = '0 of 3 kmods judged, 3 building';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  config = join(folder, 'kmod-gate.toml');
  const small = loadScenario(SMALL);
  const next = small.kernels.find(({ nvr }) => nvr === NEW);
  if (!next) throw new Error('the scenario has no such kernel');
  const newest = { ...next, nvr: NEWEST, version: '6.1.187', release: '53.el9' };
  world = createWorld({ ...small, kernels: [...small.kernels, newest] });
  server = await serveWorld(world);
  clock = setInterval(() => world.tick(TICK * speed), TICK);
  writeFileSync(config, gateConfig(server.url, folder));
});
afterAll(async () => {
  gate?.child.kill('SIGKILL');
  await gate?.ended;
  clearInterval(clock);
  await store?.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('before there is a store, each command says so', async () => {
  for (const args of [waiving('--kernel', NEW, '--kmod', 'x'), ['waivers']])
    expect(await refusal(...args)).toMatch(
      /kmod-gate\.db: no such store; has "kmod-gate run" been started with this configuration\?$/,
    );
});

test('a store of an older version is left alone', async () => {
  const old = join(folder, 'old.db');
  await (await openStore(`sqlite:${old}`, { mode: 'write' })).close();
  const database = new Database(old);
  // As if the newest migration had not been there yet.
  database.exec('DELETE FROM kysely_migration WHERE name = (SELECT max(name) FROM kysely_migration)');
  database.close();
  const file = join(folder, 'old.toml');
  writeFileSync(file, gateConfig(server.url, folder).replace('kmod-gate.db', 'old.db'));
  const { code, stderr } = await runProgram('hold', NEW, '--config', file);
  expect(stderr).toMatch(/old\.db: of an older kmod-gate; "kmod-gate run" brings it up to date\n$/);
  expect(code).toBe(2);
});

test('a store of another hub is refused to the gate and to whoever speaks, not to who reads', async () => {
  const elsewhere = 'https://koji.example.org/kojihub';
  const other = `sqlite:${join(folder, 'elsewhere.db')}`;
  await (await openStore(other, { mode: 'write', hub: elsewhere })).close();
  const file = join(folder, 'elsewhere.toml');
  writeFileSync(file, gateConfig(server.url, folder).replace('kmod-gate.db', 'elsewhere.db'));
  for (const args of [['run'], ['hold', NEW], waiving('--kernel', NEW, '--kmod', 'x')]) {
    const { code, stderr } = await runProgram(...args, '--config', file);
    expect(stderr).toContain(`elsewhere.db: a store of the hub ${elsewhere}, and the configuration names`);
    expect(stderr).toContain(`"kmod-gate run --moved-from ${elsewhere}"`);
    expect(code).toBe(2);
  }
  for (const command of ['status', 'waivers'])
    expect((await runProgram(command, '--config', file)).code).toBe(0);
  const moved = start(['run', '--config', file, '--moved-from', elsewhere]);
  const hub = () => withStore(other, 'read', async (store) => store.hub);
  await expect.poll(hub, SOON).toBe(hubUrl(server.url));
  moved.child.kill('SIGKILL');
  await moved.ended;
  expect((await runProgram('hold', NEW, '--config', file)).stderr).toMatch(/no such kernel in the store/);
});

describe('beside a running gate', () => {
  beforeAll(() => {
    gate = start(['run', '--config', config]);
  });

  test('nobody has waived anything yet', async () => {
    await expect.poll(async () => (await run('waivers')).stdout, SOON).toBe('No waiver holds.\n');
    store = await openStore(`sqlite:${join(folder, 'kmod-gate.db')}`, { mode: 'read' });
  });

  test('what cannot be meant is refused, and nothing is kept', async () => {
    const any = (more: Partial<WaiveOptions>) => () =>
      waive(loadConfig(config), quiet, { kernel: '*', kmod: 'x', reason: 'so', ...more });
    const refusals: [() => Promise<unknown>, string][] = [
      [any({ gate: 'c8s' }), '--gate c8s: no such gate, only c9s'],
      [any({ until: '2020-01-01' }), '--until 2020-01-01: is over already'],
      [
        any({ until: 'Friday' }),
        '--until Friday: give a date such as 2026-12-01 or 2026-12-01T16:00Z, or a duration such as 7d',
      ],
      [any({ reason: ' \n' }), '--reason: say why; whoever reads the verdict will want to know'],
      [any({ by: '' }), '--by: say who'],
      [any({ kmod: '' }), '--kmod: say which; a name, or a pattern such as "kmod-*"'],
      [any({ kernel: '4711' }), '--kernel 4711: an NVR or a pattern of NVRs, no build id'],
      [() => unwaive(loadConfig(config), quiet, '7'), '7: no such waiver; "kmod-gate waivers" lists them'],
      [
        () => order(loadConfig(config), quiet, 'hold', NEW, { gate: 'c8s' }),
        '--gate c8s: no such gate, only c9s',
      ],
    ];
    for (const [ask, text] of refusals) await expect(ask()).rejects.toThrow(new CheckError(text));
    expect(await refusal('cancel', 'kernel-9-9')).toBe(
      'kernel-9-9: no such kernel in the store; "kmod-gate status" lists them',
    );
    expect(await store.waivers()).toEqual([]);
  });

  test('hold keeps a kernel, retry tries a kmod again, release lets the verdict be carried out', async () => {
    world.completeKernel(NEW, { tag: GATE.watch });
    await expect.poll(() => lastSaid(NEW), SOON).toBe(TRIED);
    expect(await refusal('release', NEW)).toBe(
      `${NEW}: nobody holds it at gate c9s; what the gate itself holds, "kmod-gate waive" or "retry" may move`,
    );
    await expect(order(loadConfig(config), quiet, 'retry', NEW, { kmod: 'kmod-z*' })).rejects.toThrow(
      new CheckError(
        `--kmod kmod-z*: ${NEW} is tried with none such at gate c9s; "kmod-gate explain ${NEW}" lists them`,
      ),
    );

    expect(await said('hold', NEW, '--by', 'grace', '--reason', 'QA\nlooks first')).toBe(
      `${NEW} at gate c9s: grace holds it: QA looks first\n`,
    );
    expect(await said('status')).toContain(`${TRIED}; held by grace`);
    speed = FAST;
    await expect.poll(() => lastSaid(NEW), SOON).toContain('held by grace');
    const held = await report(NEW);
    expect(held).toMatchObject({
      status: 'held',
      verdict: 'block',
      held_by: { by: 'grace', reason: 'QA looks first' },
    });
    expect(await said('explain', NEW)).toMatch(
      new RegExp(`^  held by grace since .*: QA looks first; "kmod-gate release ${NEW}" ends it$`, 'm'),
    );
    expect(world.tags(NEW)).toEqual([GATE.watch]);

    expect(await said('retry', NEW, '--kmod', 'kmod-be*', '--by', 'ada')).toBe(
      `${NEW} at gate c9s: ada asks to try kmod-be* again\n`,
    );
    const tries = (kmod: string) =>
      world
        .tasks()
        .filter((task) => task.method === 'build' && String(task.request[0]).includes(`/${kmod}/`));
    await expect.poll(() => tries('kmod-beta').length, SOON).toBe(2);
    expect(tries('kmod-alpha')).toHaveLength(1);

    expect(await said('release', NEW, '--by', 'grace')).toBe(`${NEW} at gate c9s: grace releases it\n`);
    await expect.poll(() => world.tags(NEW), SOON).toEqual(['c9s-blocked']);
    await expect.poll(() => closing(NEW), SOON).toBe('done');
    expect(await report(NEW)).toMatchObject({ status: 'done', held_by: null });
  });

  test('an order on a run that is over says how the kernel gets a new one', async () => {
    expect(await refusal('hold', NEW)).toBe(
      `${NEW}: its run at gate c9s is over (done: moved from c9s-gate to c9s-blocked); tag it into c9s-gate again to try it anew, or "kmod-gate waive" what blocked it`,
    );
  });

  test('a waiver lets a blocked kernel through within seconds, and may be ended', async () => {
    const slip = { kernel: NEW, kmod: 'kmod-gama', reason: 'so' };
    await expect(waive(loadConfig(config), quiet, slip)).rejects.toThrow(
      new CheckError(
        `--kmod kmod-gama: ${NEW} is tried with none such; "kmod-gate explain ${NEW}" lists them`,
      ),
    );
    expect(await said(...waiving('--kernel', NEW, '--kmod', 'kmod-alpha'))).toMatch(
      new RegExp(
        `^waiver 1: kmod-alpha waived by ada: the vendor knows\n  ${NEW} at gate c9s: still blocked: kmod-gamma-0.8-1.el9: does not build`,
      ),
    );
    expect(await said(...waiving('--kernel', NEW, '--kmod', 'kmod-g*', '--until', '2999-01-01'))).toBe(
      `waiver 2: kmod-g* waived by ada until 2999-01-01 00:00 UTC: the vendor knows\n  ${NEW} at gate c9s: the gate lets it through now\n`,
    );
    await expect.poll(() => world.tags(NEW), { timeout: 5_000, interval: 50 }).toEqual(['c9s-candidate']);
    await expect.poll(() => closing(NEW), SOON).toBe('done');

    const explained = await said('explain', NEW);
    expect(explained).toContain(`${NEW} (build 5) at gate c9s: promote, done`);
    expect(explained).toMatch(/^ {2}broken, waived +kmod +kmod-gamma-0.8-1.el9 +task \d+ +see 1. above$/m);

    const [heads, newest, ...others] = (await said('waivers')).trimEnd().split('\n');
    expect(heads).toMatch(/^ID +STATE +KMOD +KERNEL +GATE +BY +SINCE +UNTIL +REASON$/);
    expect(newest).toMatch(
      new RegExp(
        `^2 +holds +kmod-g\\* +${NEW} +any +ada +2\\S+ \\S+ UTC +2999-01-01 00:00 UTC +the vendor knows$`,
      ),
    );
    expect(others).toHaveLength(1);

    expect(await said('unwaive', '2', '--by', 'grace')).toBe(
      'waiver 2 has ended: kmod-g* waived by ada until 2999-01-01 00:00 UTC: the vendor knows\nWhat it let through stays where it is.\n',
    );
    expect(await said('waivers', '--all')).toMatch(/^2 +ended .* UTC \(grace\) +the vendor knows$/m);
    expect(await waivers()).toMatchObject([
      { id: 2, state: 'ended', by: 'ada', ended: { by: 'grace' }, until: Date.UTC(2999, 0, 1) },
      { id: 1, state: 'holds', by: 'ada', ended: null, until: null },
    ]);
    await expect(unwaive(loadConfig(config), quiet, '2')).rejects.toThrow(
      /^waiver 2: ended already, by grace at 2\S+ \S+ UTC$/,
    );
    expect(world.tags(NEW)).toEqual(['c9s-candidate']);
    // It was waived when that was decided.
    expect(await said('status')).toMatch(/ done +promote +1 waived, 2 ok +moved/);
  });

  test('a waiver may be there before its kernel, or run out', async () => {
    expect(await said(...waiving('--kernel', 'kernel-6.2*', '--kmod', 'x', '--until', '1s'))).toMatch(
      /It waits for a kernel: none that kernel-6\.2\* names is undecided or blocked now\.\n$/,
    );
    expect(await said(...waiving('--kernel', 'next', '--kmod', 'kmod-gamma'))).toMatch(
      /It is for the kernel that comes next\.\n$/,
    );
    const expired = (await store.waivers()).find(({ id }) => id === 3)?.until ?? 0;
    await expect.poll(() => Date.now(), SOON).toBeGreaterThanOrEqual(expired);
    expect((await waivers()).map(({ state }) => state)).toEqual(['holds', 'expired', 'ended', 'holds']);
    const listed = await said('waivers');
    expect(listed).toMatch(/^4 +holds +kmod-gamma +next +any /m);
    expect(listed).not.toMatch(/expired|ended/);
    await expect(unwaive(loadConfig(config), quiet, '3')).rejects.toThrow(
      /^waiver 3: expired already, at 2\S+ \S+ UTC$/,
    );
  });

  test('cancel ends a run that goes on', async () => {
    speed = 0;
    world.completeKernel(NEWEST, { tag: GATE.watch });
    await expect.poll(() => lastSaid(NEWEST), SOON).toBeDefined();
    expect(await said('cancel', NEWEST, '--by', 'ada')).toBe(`${NEWEST} at gate c9s: ada cancels the run\n`);
    await expect.poll(() => closing(NEWEST), SOON).toBe('cancelled');
    expect(world.tags(NEWEST)).toEqual([GATE.watch]);
    expect(await refusal('cancel', NEWEST)).toBe(
      `${NEWEST}: its run at gate c9s is over (cancelled: cancelled by ada); tag it into c9s-gate again to try it anew`,
    );
  });
});
