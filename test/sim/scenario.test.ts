import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadScenario, splitNvr } from '../../src/sim/scenario.ts';
import { createWorld } from '../../src/sim/world.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scenario-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const USERS = '[[users]]\nname = "kojiadmin"\n';

/** Load a scenario of this text, with these files beside it. */
function load(toml: string, files: Record<string, string | Buffer> = {}) {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, 'scenario.toml'), `${toml}\n`);
  return loadScenario(join(folder, 'scenario.toml'));
}

describe('loadScenario', () => {
  it('reads symbol lists, packed or not, and takes seconds for milliseconds', () => {
    const symvers =
      '0x160c03af\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n0x28fae60d\tv4l2_open\tdrivers/v4l2\tEXPORT_SYMBOL\t\n';
    const scenario = load(
      `kmods = []\n${USERS}[timing]\nnew_repo = 0.5\n[[tags]]\nname = "gate"\n
       [[kernels]]\nnvr = "kernel-rt-6.1-1.el9"\nsymvers = "k.symvers.gz"\ntags = ["gate"]`,
      { 'k.symvers.gz': gzipSync(symvers) },
    );
    expect(scenario.timing).toMatchObject({ new_repo: 500, build_arch: 60_000 });
    expect(scenario.kernels[0]).toMatchObject({
      name: 'kernel-rt',
      version: '6.1',
      symbols: [
        { name: 'module_layout', crc: '0x160c03af', vmlinux: true },
        { name: 'v4l2_open', crc: '0x28fae60d', vmlinux: false },
      ],
    });
  });

  it.each([
    ['no TOML', 'users = [', {}, /scenario\.toml:2: /],
    [
      'a key that nobody knows',
      `${USERS}colour = "red"\n[[tags]]\nname = "a"\nsize = 3`,
      {},
      /scenario\.toml:6: tags\[0\]\.size: unknown key; known here: name, /,
    ],
    [
      'a tag that is not there',
      `tags = []\nkmods = []\nkernels = []\n${USERS}[[targets]]\nname = "t"\nbuild_tag = "b"\ndest_tag = "d"`,
      {},
      /target t: no such tag: b/,
    ],
    [
      'a symbol list of another kind',
      `kernels = []\ntags = []\n${USERS}[[kmods]]\nnvr = "kmod-a-1-1"\nmodversions = "a"`,
      { a: '0x160c03af\tmodule_layout\nkfree\n' },
      /a:2: expected 0x%08x and a symbol/,
    ],
  ])('refuses %s, and says where', (_what, toml, files, message) => {
    expect(() => load(toml, files)).toThrow(message);
  });

  it('refuses builds in tags that do not list their package', () => {
    const scenario = load(
      `kmods = []\n${USERS}[[tags]]\nname = "gate"\n[[kernels]]\nnvr = "kernel-6.1-1"\nsymvers = "k"\ntags = ["gate"]`,
      { k: '' },
    );
    expect(() => createWorld(scenario)).toThrow('Package kernel not in list for gate');
  });
});

describe('splitNvr', () => {
  it('splits at the last two dashes', () => {
    expect(splitNvr('kmod-a-b-1.0-2.el9')).toMatchObject({
      name: 'kmod-a-b',
      version: '1.0',
      release: '2.el9',
    });
    expect(() => splitNvr('kernel-6.1')).toThrow('not NAME-VERSION-RELEASE');
  });
});
