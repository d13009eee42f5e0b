/** The systemd unit and its user, by systemd's own tools; and what a gate tells systemd, by systemd-notify. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { serviceManager } from '../../src/commands/notify.ts';
import { fileOf, gateConfig, start } from '../commands/program.ts';
import { installed } from '../services.ts';

const UNIT = fileOf('deploy/systemd/kmod-gate.service');
const hasSystemd = installed('/usr/bin/systemd-notify', 'Debian package systemd');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-systemd-'));
  return () => rmSync(folder, { recursive: true });
});

describe.runIf(hasSystemd)('the unit', () => {
  test('systemd finds no mistake in it', () => {
    // The program is not in a PATH of systemd's here.
    const unit = join(folder, 'kmod-gate.service');
    writeFileSync(
      unit,
      readFileSync(UNIT, 'utf8').replace('ExecStart=kmod-gate', `ExecStart=${process.execPath}`),
    );
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], {
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('systemd rates its exposure below 2 of 10', () => {
    const rated = ['security', '--offline=true', '--threshold=20', UNIT];
    const { status, stdout } = spawnSync('systemd-analyze', rated, { encoding: 'utf8' });
    expect(stdout).toMatch(/Overall exposure level for kmod-gate\.service: [01]\.\d OK/);
    expect(status).toBe(0);
  });

  test('its user and folders are made as the unit wants them', () => {
    for (const [kind, into] of [
      ['sysusers', 'usr/lib/sysusers.d'],
      ['tmpfiles', 'usr/lib/tmpfiles.d'],
    ] as const) {
      mkdirSync(join(folder, into), { recursive: true });
      const made = readFileSync(fileOf(`deploy/systemd/${kind}.conf`));
      writeFileSync(join(folder, into, 'kmod-gate.conf'), made);
    }
    mkdirSync(join(folder, 'etc'));
    execFileSync('systemd-sysusers', [`--root=${folder}`], { stdio: 'pipe' });
    const passwd = readFileSync(join(folder, 'etc/passwd'), 'utf8');
    expect(passwd).toMatch(/^kmod-gate:x:\d+:\d+:kmod-gate:\/var\/lib\/kmod-gate:\/sbin\/nologin$/m);
    const unit = readFileSync(UNIT, 'utf8');
    expect(unit).toContain('User=kmod-gate\n');
    expect(unit).toContain('StateDirectory=kmod-gate\n');
    if (process.getuid?.() !== 0) return;
    execFileSync('systemd-tmpfiles', ['--create', `--root=${folder}`], { stdio: 'pipe' });
    const modes = execFileSync('stat', ['-c', '%a', 'etc/kmod-gate', 'var/lib/kmod-gate'], { cwd: folder });
    expect(String(modes)).toBe('750\n750\n');
  });
});

describe.runIf(hasSystemd)('a gate under systemd', () => {
  /** What is said on a socket as systemd's, a message a line. */
  async function listen(): Promise<{ socket: string; heard: string[] }> {
    const socket = join(folder, 'notify');
    const child = spawn('python3', [fileOf('test/deploy/listen.py'), socket], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill());
    const heard: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) =>
      heard.push(...JSON.parse(line).split('\n')),
    );
    await expect.poll(() => heard, { timeout: 30_000 }).toEqual(['listening']);
    heard.length = 0;
    return { socket, heard };
  }

  test('says that it is ready, that it lives, and that it stops', async () => {
    const { socket, heard } = await listen();
    const config = join(folder, 'kmod-gate.toml');
    writeFileSync(config, gateConfig('http://127.0.0.1:1/kojihub', folder));
    const { child, ended } = start(['run', '--config', config, '--log', 'json'], {
      env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000' },
    });
    await expect.poll(() => heard, { timeout: 60_000 }).toContain('WATCHDOG=1');
    expect(heard).toEqual(
      expect.arrayContaining(['READY=1', expect.stringMatching(/^STATUS=c9s watches c9s-gate$/)]),
    );
    expect(heard).not.toContain('STOPPING=1');
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0 });
    expect(heard).toContain('STOPPING=1');
  }, 90_000);

  const words = async (env: NodeJS.ProcessEnv, isAlive: () => boolean) => {
    const log: string[] = [];
    const logger = pino({}, { write: (line: string) => void log.push(JSON.parse(line).msg) });
    const manager = serviceManager({ PATH: process.env['PATH'], ...env }, isAlive, logger);
    await manager.ready('fine');
    onTestFinished(() => manager.stopping());
    return log;
  };

  test('one that hangs is not said to live', async () => {
    const { socket, heard } = await listen();
    const log = await words({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '30000' }, () => false);
    await expect.poll(() => log).toContainEqual(expect.stringMatching(/^no look at the hub ends/));
    expect(heard).toEqual(expect.arrayContaining(['READY=1']));
    expect(heard).not.toContain('WATCHDOG=1');
  }, 60_000);

  test('a watchdog for another process is none for it', async () => {
    const { socket } = await listen();
    let asked = 0;
    await words({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '3000', WATCHDOG_PID: '1' }, () => {
      asked++;
      return true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(asked).toBe(0);
  }, 60_000);

  test('without systemd-notify the log says so, once', async () => {
    const log = await words({ NOTIFY_SOCKET: '/nowhere', PATH: folder, WATCHDOG_USEC: '3000' }, () => true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(log).toEqual([expect.stringMatching(/^systemd cannot be told how the gate is/)]);
  });
});
