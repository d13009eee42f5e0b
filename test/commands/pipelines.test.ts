/** The commands of deploy/gitlab-ci.yml and deploy/github-action.yml, as they stand there, against a hub and real files. */
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { BTF } from '../btf/kernels.ts';
import { OLD, SMALL } from '../scenarios/stage.ts';
import { fileOf, gateConfig } from './program.ts';

/** The commands of a file that run the program, with the lines that they go on over. */
const commandsOf = (file: string): string[] =>
  readFileSync(fileOf(`deploy/${file}`), 'utf8').match(/^ *node \.kmod-gate\/(?:.*\\\n)*.*$/gm) ?? [];

let folder: string;
let server: WorldServer;
beforeAll(async () => {
  server = await serveWorld(createWorld(loadScenario(SMALL)));
});
afterAll(() => server.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-pipelines-'));
  symlinkSync(fileOf('.'), join(folder, '.kmod-gate'));
  writeFileSync(join(folder, 'kmod-gate.toml'), gateConfig(server.url, folder));
  for (const [name, version] of [
    ['kernel', '6.1.176'],
    ['baseline', '6.1.170'],
  ] as const) {
    mkdirSync(join(folder, name));
    cpSync(fileOf(`config/demo/${version}.symvers.gz`), join(folder, name, `${version}.symvers.gz`));
    writeFileSync(join(folder, name, 'vmlinux.btf'), BTF[version]);
  }
  return () => rmSync(folder, { recursive: true });
});

/** @returns the exit code */
function run(command: string, env: Record<string, string> = {}): Promise<number | null> {
  const variables = {
    ...{ KMOD_GATE_CONFIG: 'kmod-gate.toml', KMOD_GATE_ARCH: 'x86_64', KMOD_GATE_TAG: 'kmods9s-release' },
    ...{ KMOD_GATE_KERNEL: 'kernel', KMOD_GATE_BASELINE: OLD, KMOD_GATE_OLD_KERNEL: 'baseline' },
  };
  const child = spawn('sh', ['-ec', command], {
    cwd: folder,
    stdio: 'ignore',
    env: { ...process.env, ...variables, ...env },
  });
  return new Promise((resolve) => child.once('close', resolve));
}
const made = (name: string) => readFileSync(join(folder, name), 'utf8');

describe.each(['gitlab-ci.yml', 'github-action.yml'])('%s', (file) => {
  const [check = '', ...others] = commandsOf(file);

  test('check decides, and leaves its reports', async () => {
    expect(await run(check)).toBe(1);
    const outputs = [...check.matchAll(/--output (\S+)/g)].map(([, name = '']) => name);
    expect(outputs.length).toBeGreaterThan(1);
    expect(outputs.filter((name) => !existsSync(join(folder, name)))).toEqual([]);
    expect(made('kmod-gate.md')).toMatch(/^### kmod-gate check: \d of 3 kmods/);
    expect(JSON.parse(made('kmod-gate.sarif')).runs[0].results).not.toEqual([]);
  });
  test('a hub that has no such tag is no answer', async () => {
    expect(await run(check, { KMOD_GATE_TAG: 'nowhere' })).toBe(2);
  });
  test('why explains', async () => {
    for (const why of others) {
      expect(await run(why)).toBe(1);
      expect(made('kmod-gate-why.md')).toContain('What changed in the source of the kernel:');
    }
    expect(others).toHaveLength(file === 'gitlab-ci.yml' ? 1 : 0);
  });
});
