import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endOf } from '../../src/sim/play.ts';
import { readScenario, splitNvr } from '../../src/sim/scenario.ts';
import { createWorld } from '../../src/sim/world.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scenario-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const USERS = '[[users]]\nname = "kojiadmin"\n';

/** Read a scenario of this text, with these files beside it. */
function read(toml: string, files: Record<string, string | Buffer> = {}) {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, 'scenario.toml'), `${toml}\n`);
  return readScenario(join(folder, 'scenario.toml'));
}
const load = (...given: Parameters<typeof read>) => read(...given).scenario;

describe('readScenario', () => {
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

/** A tag, two kernels and a kmod; each line of it is one line of the file. */
const SMALL = `users = [{ name = "kojiadmin" }, { name = "ada" }]
tags = [{ name = "gate", packages = ["kernel"] }]
kernels = [
  { nvr = "kernel-6.1-1", symbols = { a = "0xA", b = "0x12345678" }, variants = { rt = { a = "0xb" } } },
  { nvr = "kernel-6.1-2", symbols = { a = "0x1" } },
]
kmods = [{ nvr = "kmod-a-1-1", imports = { a = "0xA" }, arches = ["x86_64"], userspace = ["i686"] }]
`;

describe('symbols in the scenario itself', () => {
  it('are those of a file, with CRCs of eight digits', () => {
    const { kernels, kmods } = load(SMALL);
    expect(kernels[0]).toMatchObject({
      symbols: [
        { name: 'a', crc: '0x0000000a', vmlinux: true },
        { name: 'b', crc: '0x12345678', vmlinux: true },
      ],
      exports: new Set(['a', 'b']),
      variants: { rt: [{ name: 'a', crc: '0x0000000b', vmlinux: true }] },
    });
    expect(kmods[0]).toMatchObject({
      imports: [{ name: 'a', crc: '0x0000000a' }],
      arches: ['x86_64'],
      userspace: ['i686'],
    });
  });

  it.each([
    [
      'both',
      'symbols = { a = "0x1" }, symvers = "k"',
      /:5: kernels\[1\]: kernel-6.1-2 has both of two keys: give symbols = /,
    ],
    [
      'neither',
      'single = true',
      /:5: kernels\[1\]: kernel-6.1-2 has neither of two keys: give symbols = .* or symvers = "FILE"/,
    ],
    [
      'a CRC of nine digits',
      'symbols = { a = "0x123456789" }',
      /:5: kernels\[1\]\.symbols\.a: got "0x123456789", expected a CRC of 1 to 8 hex digits/,
    ],
    [
      'a file that is not there',
      'symvers = "k"',
      /:5: kernels\[1\]\.symvers: cannot be read: .*; name a file beside the scenario/,
    ],
  ])('are refused where there are %s', (_what, instead, message) => {
    expect(() => load(SMALL.replace('symbols = { a = "0x1" }', instead))).toThrow(message);
  });
});

describe('the layouts of makers', () => {
  const KOJI = SMALL.replace('users =', 'arches = ["x86_64"]\nusers =');
  const wanting = (kernel: string, kmod = '') =>
    KOJI.replace('symbols = { a = "0x1" }', `symbols = { a = "0x1" }${kernel}`).replace(
      'imports = { a',
      `${kmod}imports = { a`,
    );

  it('in the documentation can be read', () => {
    const text = readFileSync(new URL('../../docs/rehearse.md', import.meta.url), 'utf8');
    const blocks = [...text.matchAll(/```toml\n(\[\[kernels\]\][^`]+)```/g)].map(([, block]) => block);
    expect(blocks.length).toBe(1);
    const { kernels } = load(`kmods = []\ntags = []\n${USERS}${blocks.join('')}`);
    expect(kernels.map(({ name, symbols }) => [name, symbols.flatMap(({ rpm }) => rpm ?? [])])).toEqual([
      ['kernel', ['kernel-modules-extra']],
      ['kernel-uek', ['kernel-uek-modules-wireless']],
      ['kernel6.12', ['kernel6.12-modules-extra']],
      ['kernel-default', ['kernel-default-extra', 'cluster-md-kmp-default']],
    ]);
  });
  it('are of symbols in the file, or beside it; an rpm may have none', () => {
    const rpms = ', rpms = { kernel-kvm = "kvm", kernel-modules-extra = {} }';
    const { kernels } = load(wanting(rpms), { kvm: '0x0000000b\tb\tkvm\tEXPORT_SYMBOL\t\n' });
    expect(kernels[1]).toMatchObject({
      exports: new Set(['a', 'b']),
      symbols: [{ name: 'a' }, { name: 'b', crc: '0x0000000b', vmlinux: false, rpm: 'kernel-kvm' }],
      others: ['kernel-kvm', 'kernel-modules-extra'],
    });
  });
  it.each([
    [
      'an rpm that is not made',
      wanting(', unreadable = ["kernel-extra"]'),
      /:6: kernels\[1\]\.unreadable\[0\]: kernel-6\.1-2: no such rpm: kernel-extra; there is kernel-modules, /,
    ],
    [
      'an rpm for an architecture that is not built',
      wanting(', unreadable = ["kernel-core.s390x"]'),
      /no such rpm: kernel-core\.s390x; there is .*kernel-core\.x86_64/,
    ],
    [
      'a kernel that is not there',
      wanting('', 'built_for = ["kernel-6.1-3"], '),
      /:8: kmods\[0\]\.built_for\[0\]: kmod-a-1-1: no such kernel: kernel-6\.1-3; there is kernel-6\.1-1, /,
    ],
    [
      'rpms that are no table',
      wanting(', rpms = ["kernel-kvm"]'),
      /:6: kernels\[1\]\.rpms: .* expected a table from names of rpms, such as "kernel-modules-extra", to their symbols/,
    ],
  ])('%s is told', (_, text, message) => {
    expect(() => load(text)).toThrow(message);
  });
});

describe('rules', () => {
  it('are in force for a time, and for a build tag', () => {
    const { rules } = load(
      `${SMALL}[[rules]]\nkmod = "kmod-*"\nresult = "hangs"\ntag = "gate"\nafter = "90m"\nbefore = "2d"\nstatus = 10\n[[rules]]\nkmod = "kmod-a"\nresult = "fails"`,
    );
    expect(rules).toMatchObject([
      { tag: 'gate', after: 5_400_000, before: 172_800_000, status: 10 },
      { tag: '*', after: 0, before: null, kernel: '*', arch: '*', times: null, status: 1 },
    ]);
  });

  it.each([
    [
      'kmod = "kmod-b"',
      /:9: rules\[0\]\.kmod: no such kmod: kmod-b; there is kmod-a; did you mean "kmod-a"\?/,
    ],
    [
      'kmod = "kmod-*"\nkernel = "kernel-6.1-3"',
      /:10: rules\[0\]\.kernel: no such kernel: kernel-6.1-3; there is kernel-6.1-1, kernel-6.1-2; /,
    ],
    ['kmod = "kmod-*"\ntag = "gat"', /:10: rules\[0\]\.tag: no such tag: gat; there is gate; /],
    [
      'kmod = "*"\nafter = "2h"\nbefore = "1h"',
      /:11: rules\[0\]\.before: is over before it begins; give a later time/,
    ],
    [
      'kmod = "*"\nafter = 7',
      /:10: rules\[0\]\.after: got 7, expected a time since the play began in quotes/,
    ],
  ])('%j is refused', (rule, message) => {
    expect(() => load(`${SMALL}[[rules]]\n${rule}\nresult = "fails"`)).toThrow(message);
  });
});

/** Entries of a play, each on one line of the file, from line 8 on. */
const playing = (...entries: string[]) =>
  `${SMALL}play = [\n${entries.map((one) => `  { ${one} },\n`).join('')}]`;

describe('a play', () => {
  it('is put in order; what it completes is not there before', () => {
    const { scenario, play } = read(
      playing(
        'at = "2h", do = "waive", by = "grace", kernel = "kernel-*", kmod = "kmod-a", until = "1d", reason = "so"',
        'at = "0s", complete = "kernel-6.1-2", tag = "gate", title = "it comes", heard = false',
        'at = "2h", do = "tag", kernel = "kernel-6.1-1", tag = "gate"',
        'at = "1h", do = "retry", by = "ada", kernel = "kernel-6.1-2"',
      ),
    );
    expect(scenario.kernels.map(({ built }) => built)).toEqual([true, false]);
    expect(play).toEqual([
      {
        at: 0,
        title: 'it comes',
        heard: false,
        index: 1,
        act: { kind: 'complete', kernel: 'kernel-6.1-2', tag: 'gate' },
      },
      {
        at: 3_600_000,
        title: null,
        heard: true,
        index: 3,
        act: { kind: 'retry', by: 'ada', gate: null, kernel: 'kernel-6.1-2', kmod: null, reason: null },
      },
      {
        at: 7_200_000,
        title: null,
        heard: true,
        index: 0,
        act: {
          kind: 'waive',
          by: 'grace',
          gate: null,
          kernel: 'kernel-*',
          kmod: 'kmod-a',
          until: '1d',
          reason: 'so',
        },
      },
      {
        at: 7_200_000,
        title: null,
        heard: true,
        index: 2,
        act: { kind: 'tag', by: 'kojiadmin', kernel: 'kernel-6.1-1', tag: 'gate', reason: null },
      },
    ]);
  });

  it('ends a day after its last entry, or where it says so', () => {
    const day = 86_400_000;
    expect(endOf(read(SMALL).play)).toBe(day);
    expect(endOf(read(playing('at = "3d", complete = "kernel-6.1-2"')).play)).toBe(4 * day);
    expect(endOf(read(playing('at = "3d", complete = "kernel-6.1-2"', 'at = "4h", end = true')).play)).toBe(
      day / 6,
    );
  });

  it.each([
    ['complete = "kernel-6.1-2"', /:9: play\[0\]\.at: missing, expected a time since the play began/],
    ['at = "-1h", complete = "kernel-6.1-2"', /:9: play\[0\]\.at: got "-1h", expected a time/],
    ['at = "0s"', /:9: play\[0\]: says nothing that happens: give one of complete = /],
    [
      'at = "0s", complete = "kernel-6.1-2", end = true',
      /:9: play\[0\]: says more than one thing: give one of/,
    ],
    ['at = "0s", end = false', /:9: play\[0\]\.end: got false, expected true/],
    [
      'at = "0s", complete = "kernel-6.1-9"',
      /:9: play\[0\]\.complete: no such kernel: kernel-6.1-9; there is kernel-6.1-1, kernel-6.1-2; did you mean/,
    ],
    [
      'at = "0s", complete = "kernel-6.1-2", tag = "gat"',
      /:9: play\[0\]\.tag: no such tag: gat; there is gate; did you mean "gate"\?/,
    ],
    [
      'at = "0s", do = "waves"',
      /:9: play\[0\]\.do: got "waves", expected "waive", .*; did you mean "waive"\?/,
    ],
    [
      'at = "0s", do = "waive", kernel = "*", kmod = "kmod-a"',
      /:9: play\[0\]: do = "waive" needs reason = "…"; add it/,
    ],
    [
      'at = "0s", do = "waive", kernel = "*", kmod = "kmod-a", reason = "x", until = "soon"',
      /:9: play\[0\]\.until: got "soon", expected a duration in quotes such as "1d", or a date/,
    ],
    [
      'at = "0s", do = "hold", kernel = "kernel-*"',
      /:9: play\[0\]\.kernel: no such kernel: kernel-\*; there is/,
    ],
    [
      'at = "0s", do = "hold", kernel = "kernel-6.1-1", until = "1d"',
      /:9: play\[0\]\.until: do = "hold" takes no until, only at, .*; take it out/,
    ],
    [
      'at = "0s", do = "untag", kernel = "kernel-6.1-1", tag = "gate", by = "bob"',
      /:9: play\[0\]\.by: no such user: bob; there is kojiadmin, ada; /,
    ],
    [
      'at = "0s", complete = "kernel-6.1-2" }, { at = "1s", complete = "kernel-6.1-2"',
      /:9: play\[1\]\.complete: kernel-6.1-2 is completed twice; take one/,
    ],
  ])('%s is refused', (entry, message) => {
    expect(() => read(playing(entry))).toThrow(message);
  });

  it('does not complete what is there from the start', () => {
    const built = playing('at = "0s", complete = "kernel-6.1-2"').replace('6.1-2",', '6.1-2", built = true,');
    expect(() => read(built)).toThrow(
      /:9: play\[0\]\.complete: kernel-6.1-2 is there from the start; take "built = true" out/,
    );
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
