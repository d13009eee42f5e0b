/** The launcher of `npm run test:hub`, as a person starts it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { SMALL } from '../scenarios/stage.ts';

const RUN = fileURLToPath(new URL('run.mjs', import.meta.url));

let server: WorldServer;
let home: string;
beforeAll(async () => {
  server = await serveWorld(createWorld(loadScenario(SMALL)));
  home = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  mkdirSync(join(home, '.koji'));
  writeFileSync(join(home, '.koji/config'), `[mine]\nserver = ${server.url}\nauthtype = noauth\n`);
});
afterAll(async () => {
  rmSync(home, { recursive: true });
  await server.close();
});

/** Start the launcher with these arguments and, beside what a shell needs, this environment. */
async function run(args: readonly string[], env: NodeJS.ProcessEnv) {
  const { PATH } = process.env;
  const child = spawn(process.execPath, [RUN, ...args], {
    env: { PATH, HOME: home, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, text };
}

/** A configuration for the hub in memory, in a file. */
function config({
  server: url = server.url,
  mode = 'enforce',
  failTag = 'c9s-blocked',
  kmods = 'kmods9s-release',
} = {}): string {
  const file = join(home, `${mode}-${failTag}-${kmods}.toml`);
  const text = `
    koji = { server = "${url}", user = "kmod-gate", password = "gate-password" }
    store.url = "sqlite:not-used.db"
    [[gate]]
    name = "c9s"
    kernels = ["kernel"]
    watch = "c9s-gate"
    mode = "${mode}"
    kmods.tag = "${kmods}"
    build.target = "kmods9s-gate"
    on_pass.tag = ["c9s-candidate"]
    on_fail.tag = ["${failTag}"]`;
  writeFileSync(file, text);
  return file;
}

describe('test:hub', () => {
  test.each<[string, readonly string[], () => NodeJS.ProcessEnv, RegExp]>([
    ['no hub', [], () => ({}), /^set KMOD_GATE_HUB_CONFIG or KOJI_PROFILE, .*\n\nUsage: /],
    ['an unknown option', ['--wirte'], () => ({}), /^Unknown option '--wirte'.*\n\nUsage: /],
    [
      'a wrong configuration',
      [],
      () => ({ KMOD_GATE_HUB_CONFIG: config({ mode: 'enforced' }) }),
      /^\S+:8: gate\[0\]\.mode: got "enforced", .*did you mean "enforce"\?\n$/,
    ],
    [
      'an unknown profile',
      [],
      () => ({ KOJI_PROFILE: 'yours' }),
      /^no Koji profile "yours" in .*: mine; KOJI_P/,
    ],
    [
      'a hub that does not answer',
      [],
      () => ({ KMOD_GATE_HUB_CONFIG: config({ server: 'http://127.0.0.1:9/kojihub' }) }),
      /^http:\/\/127\.0\.0\.1:9\/kojihub: getKojiVersion: .*\n$/,
    ],
    ['a run without a gate', ['--write'], () => ({ KOJI_PROFILE: 'mine' }), /^--write needs a gate: /],
    [
      'a run with a gate that only observes',
      ['--write'],
      () => ({ KMOD_GATE_HUB_CONFIG: config({ mode: 'observe' }) }),
      /: --write needs a gate with mode = "enforce"\n$/,
    ],
  ])('%s is a set-up to mend: exit code 2', async (_, args, env, expected) => {
    const { code, text } = await run(args, env());
    expect(text).toMatch(expected);
    expect(code).toBe(2);
  });

  test('with a profile alone it reads, and says what it could not ask', async () => {
    const { code, text } = await run([], { KOJI_PROFILE: 'mine' });
    expect(text).toMatch(/^Koji 1\.35\.3 at .*, without a login, no gate: read-only\n/);
    expect(text).toMatch(/✓ .*says its version/);
    expect(text).toMatch(/↓ .*its tags are there .*\[no gate: KMOD_GATE_HUB_CONFIG names none\]/);
    expect(text).toMatch(/↓ .*is that of the user who logged in .*\[no login: authtype is "noauth"\]/);
    expect(code).toBe(0);
  });

  test('a tag without kmods fails, and says what is wrong with it', async () => {
    const { code, text } = await run([], { KMOD_GATE_HUB_CONFIG: config({ kmods: 'c9s-blocked' }) });
    expect(text).toMatch(
      /× .*it has kmods to try.*\n.*no build in c9s-blocked is a kmod of the gate \(include = .*koji tag-build c9s-blocked KMOD/,
    );
    expect(code).toBe(1);
  });

  test('a hub that is not what the gate needs fails, and is not written to', async () => {
    const { code, text } = await run(['--write'], {
      KMOD_GATE_HUB_CONFIG: config({ failTag: 'c9s-nowhere' }),
    });
    expect(text).toMatch(/× .*its tags are there .*\n.*No such tagInfo: 'c9s-nowhere'/);
    expect(text).toMatch(/↓ .*takes the kernel in c9s-gate to its end .*\[a test before has failed: /);
    expect(code).toBe(1);
  });
});
