/** What a waiver must be, and a WaiverDB beside a gate that runs: the built program before a served hub. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CheckError } from '../../src/commands/error.ts';
import { type WaiveOptions, waive } from '../../src/commands/people.ts';
import { loadConfig } from '../../src/config/config.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import type { Store } from '../../src/store/store.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { type FakeWaiverDb, serveFake } from '../waiverdb/fake.ts';
import { gateConfig, type Program, runProgram, start } from './program.ts';

const SOON = { timeout: 60_000, interval: 50 };

let folder: string;
let config: string;
let world: World;
let server: WorldServer;
let fake: FakeWaiverDb;
let clock: NodeJS.Timeout;
let gate: Program;
let store: Store;

/** The configuration with other words about waivers. */
function configured(name: string, longest: string, more = ''): string {
  const file = join(folder, name);
  const text = gateConfig(server.url, folder).replace('longest_waiver = "none"', longest);
  writeFileSync(file, `${more}${text}`);
  return file;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  world = createWorld(loadScenario(SMALL));
  server = await serveWorld(world);
  fake = await serveFake();
  clock = setInterval(() => world.tick(10_000), 20);
  writeFileSync(join(folder, 'token'), 'gate-token\n');
  const waiverdb = `[waiverdb]\nurl = "${fake.url}/"\nproduct_version = "el-9"\nwrite = true\ntoken_file = "${join(folder, 'token')}"\n`;
  config = configured('gate.toml', 'longest_waiver = "14d"', waiverdb);
  gate = start(['run', '--config', config]);
});
afterAll(async () => {
  gate.child.kill('SIGKILL');
  await gate.ended;
  clearInterval(clock);
  await store?.close();
  await server.close();
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

const quiet = { write() {}, colour: false };
const waiving = (more: Partial<WaiveOptions>, file = config) =>
  waive(loadConfig(file), quiet, {
    kernel: NEW,
    kmod: 'kmod-gamma',
    reason: 'so',
    until: '7d',
    by: 'ada',
    ...more,
  });
const refused = (text: string) => new CheckError(text);

test('the gate runs', async () => {
  await expect.poll(async () => (await runProgram('status', '--config', config)).code, SOON).toBe(0);
  store = await openStore(`sqlite:${join(folder, 'kmod-gate.db')}`, { mode: 'read' });
}, 30_000);

test('a kernel that is blocked is let through by a waiver in WaiverDB, with its author', async () => {
  world.completeKernel(NEW, { tag: GATE.watch });
  await expect.poll(() => world.tags(NEW), SOON).toEqual(['c9s-blocked']);
  fake.give({ subject_identifier: NEW, username: 'grace', comment: 'the vendors know' });
  await expect.poll(() => world.tags(NEW), SOON).toEqual(['c9s-candidate']);
  const { stdout } = await runProgram('waivers', '--config', config);
  expect(stdout).toMatch(/holds {2}\* {5}kernel-\S+ {2}c9s {3}grace .* the vendors know \(WaiverDB 1\)\n$/);
  const explained = await runProgram('explain', NEW, '--config', config);
  expect(explained.stdout).toMatch(/waived by grace until .*: the vendors know \(WaiverDB 1\)\)/);
});

test('a waiver ends, as its gate says', async () => {
  const { until: _, ...endless } = { kernel: NEW, kmod: 'kmod-gamma', reason: 'so', by: 'ada', until: '' };
  const most = 'gate c9s lets waivers hold for 14d at the most (longest_waiver)';
  await expect(waive(loadConfig(config), quiet, endless)).rejects.toThrow(
    refused(`--until: say when it ends, such as 14d; ${most}`),
  );
  await expect(waiving({ until: '15d' })).rejects.toThrow(refused(`--until 15d: too far ahead; ${most}`));
  const silent = configured('silent.toml', '');
  await expect(waiving({ until: '91d' }, silent)).rejects.toThrow('for 90d at the most');
  const free = configured('free.toml', 'longest_waiver = "none"');
  await waive(loadConfig(free), quiet, { ...endless, kmod: 'kmod-g*' });
  // One for all gates meets the shortest.
  const two = loadConfig(config);
  const other = { ...two.gates[0], name: 'other' } as (typeof two.gates)[number];
  const both = { ...two, gates: [...two.gates, other], longestWaivers: { c9s: null, other: 86_400_000 } };
  const said = { kernel: NEW, kmod: 'kmod-gamma', reason: 'so', until: '2d', by: 'ada' };
  await expect(waive(both, quiet, said)).rejects.toThrow('gate other lets waivers hold for 1d');
  await waive(both, quiet, { ...said, gate: 'c9s' });
});

test('what waives every kmod is asked for twice', async () => {
  for (const kmod of ['*', '**', '?*'])
    await expect(waiving({ kmod })).rejects.toThrow(
      refused(`--kmod ${kmod}: waives every kmod; where that is meant, say --all-kmods too`),
    );
  await expect(waiving({ kmod: 'kmod-*' })).rejects.toThrow(
    refused(
      '--kmod kmod-*: waives each of the 3 kmods that gate c9s tries; where that is meant, say --all-kmods too',
    ),
  );
  await waiving({ kmod: '*', allKmods: true });
  await waiving({ kmod: 'kmod-g*' });
});

test('a kernel that the hub does not know is refused, with what is near', async () => {
  const slip = NEW.replace('6.1', '6.l');
  await expect(waiving({ kernel: slip })).rejects.toThrow(
    new RegExp(
      `^--kernel ${slip}: the hub knows no such build; near it: ${NEW}(, kernel-\\S+)*; one that is still to come is named by a pattern, such as "${slip}\\*"$`,
    ),
  );
  await waiving({ kernel: `${slip}*` });
  await waiving({ kernel: 'next' });
});

test('the hub is asked for a kernel that the store does not know', async () => {
  const old = world.state.builds.find(({ nvr }) => nvr.startsWith('kernel-') && nvr !== NEW)?.nvr ?? '';
  expect(old).toMatch(/^kernel-/);
  await waiving({ kernel: old });
  const away = configured('away.toml', 'longest_waiver = "14d"');
  const lost = {
    ...loadConfig(away),
    koji: { ...loadConfig(away).koji, server: 'http://127.0.0.1:1/kojihub' },
  };
  const said = { kernel: 'kernel-9-9', kmod: 'kmod-gamma', reason: 'so', until: '2d', by: 'ada' };
  await expect(waive(lost, quiet, said)).rejects.toThrow(
    /is of the hub|hub cannot be asked|a store of the hub/,
  );
});

test('kill -9 between a waiver that is written to WaiverDB and its answer: it is there once', async () => {
  const given = async () => (await store.recordsThere()).filter(({ kind }) => kind === 'given').length;
  await expect.poll(given, SOON).toBe(3);
  const mine = () => fake.records.filter(({ comment }) => comment?.startsWith('killed meanwhile (ada)'));
  fake.fault = (method) => (method === 'POST' ? 'hangs' : 'none');
  await waiving({ reason: 'killed meanwhile', kmod: 'kmod-beta' });
  await expect.poll(() => mine().length, SOON).toBe(1);
  gate.child.kill('SIGKILL');
  await gate.ended;
  fake.fault = () => 'none';
  gate = start(['run', '--config', config]);
  const linked = async () =>
    (await store.recordsThere()).filter(({ there }) => there === mine()[0]?.id).map(({ kind }) => kind);
  await expect.poll(linked, SOON).toEqual(['given']);
  const asked = fake.requests.length;
  await expect.poll(() => fake.requests.length, SOON).toBeGreaterThan(asked + 5);
  expect(mine()).toHaveLength(1);
});
