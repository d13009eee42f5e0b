/** What a command does with files that are not there, are folders, belong to another, have no end, or find no room. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { readText } from '../../src/files/read.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { NEW, SMALL } from '../scenarios/stage.ts';
import { fileOf, gateConfig, runProgram } from './program.ts';

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  chmodSync(folder, 0o755);
  writeFileSync(at('Module.symvers'), '0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n');
  writeFileSync(at('kmod.modversions'), '0x00000001\ta\n');
  writeFileSync(at('gate.toml'), gateConfig('http://127.0.0.1:1/kojihub', folder));
  mkdirSync(at('folder'));
  writeFileSync(at('closed'), 'x', { mode: 0o000 });
  // Holes take no room.
  writeFileSync(at('large'), '');
  truncateSync(at('large'), 3 * 1024 ** 3);
  for (const name of ['large.ko', 'large.rpm', 'large.symvers'])
    execFileSync('ln', ['-s', 'large', at(name)]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @param more how it is started */
function run(args: readonly string[], more: { readonly uid?: number } = {}) {
  const { status, stderr } = spawnSync(process.execPath, [fileOf('dist/main.js'), ...args], {
    ...{ cwd: folder, encoding: 'utf8', ...more },
    env: { ...process.env, XDG_CACHE_HOME: at('cache') },
  });
  return { status, stderr };
}

const FIT = ['check', 'kmod.modversions', '--kernel', 'Module.symvers'];
/** By what is read, a command that reads a file of this name. */
const READS: Readonly<Record<string, (file: string) => string[]>> = {
  'a configuration': (file) => ['run', '--once', '-c', file],
  'a scenario': (file) => ['rehearse', '--scenario', file, '-c', 'gate.toml'],
  'a kernel': (file) => ['check', 'kmod.modversions', '--kernel', file],
  'a kmod': (file) => ['check', file, '--kernel', 'Module.symvers'],
  'a stablelist': (file) => [...FIT, '--stablelist', file],
  'rules of severity': (file) => [...FIT, '--baseline', 'Module.symvers', '--severities', file],
  'a log': (file) => ['why', '--log', file, '--baseline', 'Module.symvers', '--kernel', 'Module.symvers'],
};

describe.each(Object.entries(READS))('%s', (_, command) => {
  test.each(['missing', 'folder'])('that is %s: it is named, and no bug', (file) => {
    const { status, stderr } = run(command(file));
    expect([status, stderr]).toEqual([2, expect.stringContaining(file)]);
  });

  // Whoever is root reads everything.
  test.runIf(process.getuid?.() === 0)('that belongs to another: it is named, and no bug', () => {
    const { status, stderr } = run(command('closed'), { uid: 65_534 });
    expect([status, stderr]).toEqual([2, expect.stringMatching(/closed.*(EACCES|denied)/)]);
  });
});

test.each([
  ['a configuration', 'large', /large: cannot be read: it is larger than 16 MiB/],
  ['a scenario', 'large', /large: cannot be read: it is larger than 16 MiB/],
  ['a configuration', '/dev/zero', /zero: cannot be read: it is larger than 16 MiB/],
  ['rules of severity', 'large', /large: .*larger than 64 MiB/],
  ['a stablelist', '/dev/zero', /zero: .*larger than 256 MiB/],
  ['a kernel', 'large.symvers', /large\.symvers: it is larger than 2 GiB; name the kernel/],
  ['a kmod', 'large.ko', /large\.ko: it is larger than 2 GiB/],
  ['a kmod', 'large.rpm', /large\.rpm: it is larger than 2 GiB/],
])('%s without end (%s) is refused', (what, file, words) => {
  const { status, stderr } = run(READS[what]?.(file) ?? []);
  expect([status, stderr]).toEqual([2, expect.stringMatching(words)]);
});

test('what has as many bytes as it may is read, and one more is not', () => {
  const most = 200_000;
  for (const [size, fine] of [
    [0, true],
    [1, true],
    [65_536, true],
    [most, true],
    [most + 1, false],
  ] as const) {
    writeFileSync(
      at('text'),
      'é'.repeat(size / 2).padEnd(size % 2 ? Math.floor(size / 2) + 1 : size / 2, 'x'),
    );
    const expected = readFileSync(at('text'), 'utf8');
    if (fine) expect(readText(at('text'), most)).toBe(expected);
    else expect(() => readText(at('text'), most)).toThrow('it is larger than');
  }
});

describe('where nothing can be written', () => {
  const OUT = [...FIT, '--output'];
  test.each([
    ['folder.json', 'EISDIR'],
    ['nowhere/x.json', 'ENOENT'],
  ])('a report %s is named, with %s', (file, code) => {
    mkdirSync(at('folder.json'), { recursive: true });
    const { status, stderr } = run([...OUT, file]);
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(`--output ${file}: cannot be written: ${code}`),
    ]);
  });

  test.runIf(process.getuid?.() === 0)(
    'a folder of another for the demo, the tokens or the store is named',
    () => {
      mkdirSync(at('others'), { mode: 0o755, recursive: true });
      writeFileSync(at('others.toml'), gateConfig('http://127.0.0.1:1/kojihub', at('others')));
      for (const args of [
        ['demo', '--serve', '--port', '0', '--folder', at('others/demo')],
        ['token', 'new', 'ada', '--file', at('others/tokens')],
        ['run', '--once', '-c', at('others.toml')],
      ]) {
        const { status, stderr } = run(args, { uid: 65_534 });
        expect([args[0], status, stderr]).toEqual([args[0], 2, expect.stringContaining(at('others'))]);
      }
    },
  );
});

/** A small disk of the test's own. Only root may mount one, and not everywhere. */
function mountSmall(): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), 'kmod-gate-disk-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], {
    encoding: 'utf8',
  });
  if (status === 0) return disk;
  rmSync(disk, { recursive: true });
  process.stderr.write(`SKIPPED: no small disk can be mounted here: ${stderr}\n`);
  return undefined;
}
const disk = mountSmall();
afterAll(() => {
  if (disk === undefined) return;
  execFileSync('umount', [disk]);
  rmSync(disk, { recursive: true });
});

describe.skipIf(disk === undefined)('on a full disk', () => {
  const on = (name: string) => join(disk ?? '', name);
  /** Take all the room that there is. */
  function fill(): void {
    const handle = openSync(on('filling'), 'a');
    try {
      for (;;) writeSync(handle, Buffer.alloc(4_096));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    } finally {
      closeSync(handle);
    }
    expect(statfsSync(on('')).bavail).toBe(0);
  }
  beforeEach(() => {
    for (const name of ['filling', 'report.json']) rmSync(on(name), { force: true });
  });

  test.each(['report.json', 'report.sarif', 'report.junit.xml', 'report.md'])(
    'no half of a report is left: %s',
    (name) => {
      fill();
      const { status, stderr } = run([...FIT, '--output', on(name)]);
      expect([status, stderr]).toEqual([2, expect.stringMatching(`${name}: cannot be written: ENOSPC`)]);
      expect(existsSync(on(name))).toBe(false);
    },
  );

  test.each([
    ['tokens', ['token', 'new', 'ada', '--file'], 'ENOSPC'],
    ['demo', ['demo', '--serve', '--port', '0', '--folder'], 'ENOSPC|full'],
    ['headers.db', ['backtest', '-c', 'gate.toml', '--store'], 'full'],
  ])('%s is named, and no bug', (name, args, words) => {
    fill();
    const { status, stderr } = run([...args, on(name)]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(`${name}.*(${words})`)]);
  });

  test('a store that is new, and one that has no more room for what a person says, are named', () => {
    writeFileSync(at('disk.toml'), gateConfig('http://127.0.0.1:1/kojihub', on('')));
    fill();
    const fresh = run(['run', '--once', '-c', 'disk.toml']);
    expect([fresh.status, fresh.stderr]).toEqual([2, expect.stringMatching(/kmod-gate\.db: .*full/)]);
    rmSync(on('filling'));
    // The hub does not answer, and the store is made.
    run(['run', '--once', '-c', 'disk.toml']);
    fill();
    const waive = ['waive', '-c', 'disk.toml', '--kernel', 'kernel-1*', '--kmod', 'kmod-a', '--reason', 'x'];
    const said = run([...waive, '--until', '2099-01-01']);
    expect([said.status, said.stderr]).toEqual([
      2,
      expect.stringMatching(/kmod-gate\.db: cannot be written: the disk is full \(ENOSPC\)/),
    ]);
  });

  test('a sweep that could not record what it found is not fine', async () => {
    const world = createWorld(loadScenario(SMALL));
    const server = await serveWorld(world);
    onTestFinished(() => server.close());
    const config = gateConfig(server.url, on('')).replace('kmod-gate.db', 'sweep.db');
    writeFileSync(at('sweep.toml'), config);
    const sweep = () => runProgram('run', '--once', '-c', at('sweep.toml'));
    expect((await sweep()).code).toBe(0);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    fill();
    // Room for what a database needs to be opened, and no more.
    truncateSync(on('filling'), statSync(on('filling')).size - 80 * 1024);
    const { code, stderr } = await sweep();
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/sweep\.db: cannot be written: the disk is full \(ENOSPC\)/),
    ]);
    rmSync(on('filling'));
    expect((await sweep()).code).toBe(0);
  });
});
