/** The RPM package: built from this checkout, looked at by rpmlint, taken apart, and started. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileOf } from '../commands/program.ts';
import { installed } from '../services.ts';

const SPEC = fileOf('deploy/rpm/kmod-gate.spec');
const { version } = JSON.parse(readFileSync(fileOf('package.json'), 'utf8'));
const isThere = [
  installed('/usr/bin/rpmbuild', 'Debian package rpm'),
  installed('/usr/bin/rpmlint', 'Debian package rpmlint'),
  // The program in the package begins with it.
  installed('/usr/bin/node', 'a package with Node'),
].every((found) => found);

describe.runIf(isThere)('the RPM package', () => {
  let folder: string;
  let rpm: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-rpm-'));
    // Debian's rpm knows no packages of Node, and packing well takes long.
    const options = [
      '--nodeps',
      '--define',
      '_binary_payload w1.gzdio',
      '--define',
      '_source_payload w1.gzdio',
    ];
    const made = execFileSync(fileOf('deploy/rpm/build.sh'), [folder, ...options], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    rpm = made.split('\n').find((line) => /kmod-gate-[\d.]+-1[^/]*\.(x86_64|aarch64)\.rpm$/.test(line)) ?? '';
    execFileSync('sh', ['-c', 'mkdir root && cd root && rpm2cpio "$0" | cpio -id --quiet', rpm], {
      cwd: folder,
    });
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true }));
  const query = (...args: string[]) => execFileSync('rpm', ['-qp', ...args, rpm], { encoding: 'utf8' });

  test('is of this version, and needs no more than Node and systemd', () => {
    expect(query('--qf', '%{VERSION}')).toBe(version);
    const needs = query('--requires')
      .split('\n')
      .filter((line) => /^\w/.test(line) && !/^(rpmlib|lib|config\()/.test(line));
    expect([...new Set(needs)].sort()).toEqual(['nodejs >= 1:20.19', 'systemd >= 250']);
  });

  test('rpmlint has nothing to say of it', () => {
    const { stdout } = spawnSync('rpmlint', ['-c', fileOf('deploy/rpm/rpmlint.toml'), rpm, SPEC], {
      encoding: 'utf8',
    });
    expect(stdout.split('\n').filter((line) => /^\S+: [EW]: /.test(line))).toEqual([]);
  }, 120_000);

  test('gives the configuration to its group, and the store to its user', () => {
    const list = query('--qf', '[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]').split(
      '\n',
    );
    expect(list).toContain('-rw-r----- root kmod-gate /etc/kmod-gate/kmod-gate.toml');
    expect(list).toContain('drwxr-x--- kmod-gate kmod-gate /var/lib/kmod-gate');
    const wanted = [
      'systemd/system/kmod-gate.service',
      'sysusers.d/kmod-gate.conf',
      'tmpfiles.d/kmod-gate.conf',
    ];
    for (const file of wanted) expect(list).toContain(`-rw-r--r-- root root /usr/lib/${file}`);
    expect(query('--configfiles')).toBe('/etc/kmod-gate/kmod-gate.toml\n');
  });

  test('holds a program that starts, with its own libraries alone', () => {
    const run = (...args: string[]) =>
      spawnSync(join(folder, 'root/usr/bin/kmod-gate'), args, { cwd: folder, encoding: 'utf8' });
    expect(run('--version').stdout).toBe(`${version}\n`);
    const config = join(folder, 'root/etc/kmod-gate/kmod-gate.toml');
    expect(run('config', 'check', config).status).toBe(0);
    // The embedded SQLite is there: a store is looked for, and is not there yet.
    const { stderr, status } = run('status', '--config', config);
    expect({ stderr, status }).toMatchObject({ stderr: expect.stringContaining('kmod-gate.db'), status: 2 });
    expect(statSync(join(folder, 'root/usr/lib/kmod-gate/dist/main.js')).mode & 0o111).not.toBe(0);
  }, 120_000);
});
