/** Rehearsals on small scenarios: what becomes of a kernel, and of files that cannot be played. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { rehearse } from '../../src/commands/rehearse.ts';
import { loadConfig } from '../../src/config/config.ts';
import { fileOf, runProgram } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'rehearse-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OUT = 'kernel-5.14.0-1.el9';
const NEW = 'kernel-5.14.0-2.el9';

/** A gate; `more` goes into it. */
const gateOf = (more = '', name = 'c9s') => `
[[gate]]
name = "${name}"
kernels = ["kernel"]
watch = "c9s-gate"
kmods = { tag = "kmods9s-release", include = ["kmod-*"] }
build = { target = "kmods9s-gate", repo = "sidetag" }
on_pass = { tag = ["c9s-candidate"], untag = ["c9s-gate"] }
on_fail = { tag = ["c9s-blocked"], untag = ["c9s-gate"] }
${more}`;
const CONFIG = `
[koji]
server = "https://koji.example.org/kojihub"
user = "kmod-gate"
password = "of the real hub"
[store]
url = "sqlite:/nowhere/kmod-gate.db"
`;

/** Two architectures, a kernel that is out, one that comes, and two kmods. */
const KOJI = `
arches = ["x86_64", "aarch64"]
users = [{ name = "kojiadmin", perms = ["admin"] }, { name = "kmod-gate" }, { name = "ada" }]
tags = [
  { name = "c9s-build", arches = ["x86_64", "aarch64"], packages = ["kernel"] },
  { name = "c9s-gate", inherits = ["c9s-build"] },
  { name = "c9s-candidate", packages = ["kernel"] },
  { name = "c9s-blocked", packages = ["kernel"] },
  { name = "kmods9s-release", packages = ["kmod-a", "kmod-b"] },
  { name = "kmods9s-build", inherits = ["c9s-gate"], arches = ["x86_64", "aarch64"] },
]
targets = [{ name = "kmods9s-gate", build_tag = "kmods9s-build", dest_tag = "kmods9s-release" }]
kernels = [
  { nvr = "${OUT}", symbols = { a = "0x1", b = "0xABCD" }, tags = ["c9s-build", "c9s-candidate"] },
  { nvr = "${NEW}", symbols = { a = "0x1", b = "0xABCD" } },
]
kmods = [
  { nvr = "kmod-a-1.0-1.el9", imports = { a = "0x1" }, tags = ["kmods9s-release"] },
  { nvr = "kmod-b-1.0-1.el9", imports = { b = "0x0000abcd" }, tags = ["kmods9s-release"] },
]
[policy.tag]
kojiadmin = ["*"]
kmod-gate = ["c9s-*"]
ada = ["c9s-gate", "c9s-candidate"]
`;
const FAILS = `
[[rules]]
kmod = "kmod-a"
kernel = "${NEW}"
arch = "aarch64"
result = "fails"
log = ["a.c:12:3: error: no member named 'x'"]
`;
const COMES = `
[[play]]
at = "0s"
complete = "${NEW}"
tag = "c9s-gate"
`;
/** A deed of a person, by its TOML. */
const does = (at: string, deed: string, more: string) => `[[play]]\nat = "${at}"\ndo = "${deed}"\n${more}\n`;

interface Told {
  readonly runs: readonly {
    readonly nvr: string;
    readonly gate: string;
    readonly verdict: string | null;
    readonly how: string | null;
    readonly reasons: readonly string[];
    readonly kmods: readonly {
      readonly name: string;
      readonly outcome: string;
      readonly cause: string;
      readonly arches: Readonly<Record<string, string>>;
    }[];
    readonly tags: readonly string[];
  }[];
  readonly story: string;
}

let count = 0;
function filesOf(gate: string, scenario: string, config = CONFIG): { config: string; scenario: string } {
  count += 1;
  const paths = { config: join(folder, `gate-${count}.toml`), scenario: join(folder, `koji-${count}.toml`) };
  writeFileSync(paths.config, config + gate);
  writeFileSync(paths.scenario, scenario);
  return paths;
}

const told = (stdout: string): Told => ({
  ...JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''),
  story: stdout,
});

/** Rehearse within this process. */
async function play(scenario: string, gate = gateOf(), config = CONFIG): Promise<Told> {
  const files = filesOf(gate, scenario, config);
  let stdout = '';
  const write = (text: string) => {
    stdout += text;
  };
  await rehearse(loadConfig(files.config), files.scenario, { write, colour: false }, { json: true });
  return told(stdout);
}

/** Each run in a few words. */
const inShort = ({ runs }: Told) =>
  runs.map(({ nvr, verdict, how, tags }) => `${nvr}: ${verdict}, ${how}, in ${tags.join(' ')}`);

describe('with the built program', () => {
  test('the example of the documentation blocks, is waived, and finds by a sweep what no message told of', async () => {
    const [gate, koji] = ['gate', 'koji'].map((name) => fileOf(`config/rehearse/${name}.toml`));
    const { code, stdout, stderr } = await runProgram(
      'rehearse',
      '-c',
      `${gate}`,
      '--scenario',
      `${koji}`,
      '--json',
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const played = told(stdout);
    expect(inShort(played)).toEqual([
      'kernel-5.14.0-2.el9: promote, done, in c9s-candidate',
      'kernel-5.14.0-3.el9: block, done, in c9s-blocked',
    ]);
    expect(played.runs[0]?.gate).toBe('c9s');
    expect(played.runs[0]?.reasons[0]).toMatch(
      /^kmod-a-1.0-1.el9 \(waived by release-manager until 2026-01-06 10:00 UTC: fixed upstream\): /,
    );
    expect(played.runs[0]?.kmods.map(({ name, arches }) => [name, Object.keys(arches)])).toEqual([
      ['kmod-a', ['x86_64', 'aarch64']],
      ['kmod-b', ['x86_64', 'aarch64']],
    ]);
    expect(stdout).toMatch(
      /^ {2}0:00:00 {2}c9s {2}kernel-5.14.0-2.el9 {2}stands before the gate: 2 kmods to try$/m,
    );
    expect(stdout).toMatch(
      /^--- {3}2:00:00 {2}\$ kmod-gate waive --kernel kernel-5.14.0-2.el9 --kmod kmod-a --until 1d --reason "fixed upstream" --by release-manager$/m,
    );
    expect(stdout).toMatch(
      /^--- {2}24:01:00 {2}kernel-5.14.0-3.el9 is complete, and tagged into c9s-gate\n 24:05:00 {2}kernel-5.14.0-3.el9 is complete$/m,
    );
    expect(stdout).toMatch(/^GATE +KERNEL +STATUS +VERDICT +KMODS +STATE$/m);
  });

  test('what the demo plays ends as it does there', async () => {
    const [gate, koji] = ['kmod-gate', 'scenario'].map((name) => fileOf(`config/demo/${name}.toml`));
    const { code, stdout } = await runProgram('rehearse', '-c', `${gate}`, '--scenario', `${koji}`, '--json');
    expect(code).toBe(0);
    expect(inShort(told(stdout))).toEqual([
      'kernel-6.1.176-50.el9: promote, done, in c9s-candidate',
      'kernel-6.1.187-53.el9: block, done, in c9s-blocked',
      'kernel-6.1.192-56.el9: promote, done, in c9s-candidate',
      'kernel-6.1.192-63.el9: promote, done, in c9s-candidate',
    ]);
  });

  test('a wrong file is an error with its line, and nothing is played', async () => {
    const files = filesOf(gateOf(), `${KOJI}\n[[play]]\nat = "soon"\ncomplete = "${NEW}"\n`);
    const ended = await runProgram('rehearse', '-c', files.config, '--scenario', files.scenario, '--json');
    const line = KOJI.split('\n').length + 2;
    expect(ended).toMatchObject({
      code: 2,
      stdout: '',
      stderr: `${files.scenario}:${line}: play[0].at: got "soon", expected a time since the play began in quotes, such as "0s", "90m", "30h" or "2d"\n`,
    });
  });

  test('a wrong configuration is told as by config check', async () => {
    const files = filesOf(gateOf('mode = "watch"'), KOJI);
    const [ended, checked] = await Promise.all([
      runProgram('rehearse', '-c', files.config, '--scenario', files.scenario),
      runProgram('config', 'check', files.config),
    ]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('gate[0].mode: got "watch", expected "enforce" or "observe"');
    expect(checked.stdout).toContain(ended.stderr.trim());
  });
});

describe('a kernel', () => {
  test('that breaks nothing is let through, and the same files give the same story', async () => {
    const played = await play(KOJI + COMES);
    expect(inShort(played)).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
    expect(played.runs[0]).toEqual({
      nvr: NEW,
      gate: 'c9s',
      verdict: 'promote',
      how: 'done',
      reasons: [expect.stringContaining(`2 kmods build against ${NEW}`)],
      kmods: ['kmod-a', 'kmod-b'].map((name) => ({
        name,
        outcome: 'ok',
        cause: 'builds',
        arches: { x86_64: 'ok', aarch64: 'ok' },
      })),
      tags: ['c9s-candidate'],
    });
    expect((await play(KOJI + COMES)).story).toBe(played.story);
  });

  test('that breaks a kmod is blocked', async () => {
    const played = await play(KOJI + FAILS + COMES);
    expect(inShort(played)).toEqual([`${NEW}: block, done, in c9s-blocked`]);
    expect(played.runs[0]?.reasons[0]).toMatch(
      /^kmod-a-1.0-1.el9: does not build on aarch64: a.c:12: no member/,
    );
    expect(played.runs[0]?.kmods[0]).toMatchObject({
      outcome: 'broken',
      arches: { x86_64: 'ok', aarch64: 'broken' },
    });
  });

  test('that a gate only observes stays where it is', async () => {
    const played = await play(KOJI + COMES, gateOf('mode = "observe"'));
    expect(inShort(played)).toEqual([`${NEW}: promote, observed, in c9s-gate`]);
  });

  test('that never stood before the gate is not told of, nor one that is not complete', async () => {
    const untagged = COMES.replace('tag = "c9s-gate"\n', '');
    expect((await play(KOJI + untagged)).runs).toEqual([]);
    expect((await play(KOJI)).runs).toEqual([]);
  });

  test('that may not be moved is held, with the words of the hub', async () => {
    const played = await play(KOJI.replace('kmod-gate = ["c9s-*"]\n', '') + COMES);
    expect(played.runs[0]?.how).toBeNull();
    expect(played.runs[0]?.tags).toContain('c9s-gate');
    expect(played.story).toContain('policy violation (tag)');
  });

  test('is told of for each gate', async () => {
    const [second, first] = ['look', 'c9s'].map((name) => gateOf('mode = "observe"', name));
    const played = await play(KOJI + COMES, `${first}${second}`);
    expect(played.runs.map(({ gate, how }) => [gate, how])).toEqual([
      ['c9s', 'observed'],
      ['look', 'observed'],
    ]);
  });

  test('is compared by symbols that stand in the scenario', async () => {
    const changed = KOJI.replace(
      `nvr = "${NEW}", symbols = { a = "0x1"`,
      `nvr = "${NEW}", symbols = { a = "0x2"`,
    );
    const played = await play(changed + COMES, gateOf('strategy = "symbols"'));
    expect(inShort(played)).toEqual([`${NEW}: block, done, in c9s-blocked`]);
    expect(played.runs[0]?.kmods.map(({ arches }) => arches)).toEqual([
      { x86_64: 'broken', aarch64: 'broken' },
      { x86_64: 'ok', aarch64: 'ok' },
    ]);
  });
});

describe('the layouts of makers, by their symbols', () => {
  const SYMBOLS = gateOf('strategy = "symbols"');
  /** More keys of the kernel that comes, and of kmod-a. */
  const world = (kernel: string, kmod = '') =>
    KOJI.replace(`nvr = "${NEW}",`, `nvr = "${NEW}", ${kernel},`).replace(
      'imports = { a = "0x1" },',
      `imports = { a = "0x1" }, ${kmod}`,
    ) + COMES;
  const wifi = world('rpms = { kernel-modules-wireless = { wifi = "0x7" } }').replace(
    'imports = { a = "0x1" }',
    'imports = { a = "0x1", wifi = "0x7" }',
  );

  test('a kernel in many rpms is one kernel', async () => {
    expect(inShort(await play(wifi, SYMBOLS))).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
  });
  test('of which one cannot be read is held for what may be in it, and the rest of it is judged', async () => {
    const unread = wifi.replace('rpms = {', 'unreadable = ["kernel-modules-wireless.aarch64"], rpms = {');
    const [run] = (await play(unread, SYMBOLS)).runs;
    expect(run).toMatchObject({
      verdict: 'hold',
      kmods: [
        { name: 'kmod-a', arches: { x86_64: 'ok', aarch64: 'inconclusive' } },
        { name: 'kmod-b', arches: { x86_64: 'ok', aarch64: 'ok' } },
      ],
    });
    expect(run?.reasons[0]).toContain('has no file of kernel-modules-wireless-5.14.0-2.el9.aarch64');
    expect(run?.reasons[0]).not.toContain('gone');
  });
  test('a kmod with an rpm for each kernel: that for this one counts', async () => {
    const both = world('single = true', `built_for = ["${OUT}", "${NEW}"],`);
    expect(inShort(await play(both, SYMBOLS))).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
  });
  test('and where there is none for it, those are named that there are', async () => {
    const OLDER = 'kernel-5.14.0-0.el9';
    const older = world('single = true', `built_for = ["${OLDER}", "${OUT}"],`).replace(
      'kernels = [',
      `kernels = [\n  { nvr = "${OLDER}", symbols = { a = "0x1", b = "0xABCD" } },`,
    );
    const [run] = (await play(older, SYMBOLS)).runs;
    expect(run).toMatchObject({ verdict: 'block', kmods: [{ name: 'kmod-a', outcome: 'broken' }, {}] });
    expect(run?.reasons[0]).toContain(
      'it is built for 5.14.0-0.el9.x86_64 and 5.14.0-1.el9.x86_64, and not for this kernel',
    );
  });
  test('a kmod whose rpm cannot be read stops no other', async () => {
    const [run] = (await play(world('single = true', 'unreadable = ["kmod-a"],'), SYMBOLS)).runs;
    expect(run).toMatchObject({
      verdict: 'hold',
      kmods: [{ name: 'kmod-a', outcome: 'inconclusive' }, { outcome: 'ok' }],
    });
  });
  test('SUSE’s kernel and its KMPs', async () => {
    const suse = world('single = true, flavour = "default"', 'flavour = "default",')
      .replace('imports = { b', 'flavour = "default", imports = { b')
      .replaceAll('"kernel"', '"kernel-default"')
      .replaceAll('kernel-5', 'kernel-default-5')
      .replaceAll('nvr = "kmod', 'kernel = "kernel-default", nvr = "kmod');
    const gate = SYMBOLS.replace('"kernel"', '"kernel-default"');
    const named = NEW.replace('kernel', 'kernel-default');
    expect(inShort(await play(suse, gate))).toEqual([`${named}: promote, done, in c9s-candidate`]);
    const changed = suse.replace(
      'flavour = "default", symbols = { a = "0x1"',
      'flavour = "default", symbols = { a = "0x9"',
    );
    const [run] = (await play(changed, gate)).runs;
    expect(run?.reasons[0]).toMatch(
      /^kmod-a-1\.0-1\.el9: does not load on \S+: .*0x00000009, in kernel-default\)/,
    );
  });
});

describe('time', () => {
  test('a rule ends: what failed in the first six hours builds when it is tried again', async () => {
    const passing = FAILS.replace('log =', 'after = "0s"\nbefore = "6h"\nlog =');
    const again = does('7h', 'tag', `by = "ada"\nkernel = "${NEW}"\ntag = "c9s-gate"`);
    expect(inShort(await play(KOJI + passing + COMES))).toEqual([`${NEW}: block, done, in c9s-blocked`]);
    const played = await play(KOJI + passing + COMES + again);
    expect(played.runs).toHaveLength(1);
    expect(played.runs[0]).toMatchObject({ verdict: 'promote', how: 'done' });
  });

  test('a rule begins, and may be for a build tag', async () => {
    const later = FAILS.replace('log =', 'after = "1h"\nlog =');
    expect(inShort(await play(KOJI + later + COMES))).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
    const elsewhere = FAILS.replace('log =', 'tag = "c9s-*"\nlog =');
    expect(inShort(await play(KOJI + elsewhere + COMES))).toEqual([
      `${NEW}: promote, done, in c9s-candidate`,
    ]);
    const here = FAILS.replace('log =', 'tag = "kmods9s-build"\nlog =');
    expect(inShort(await play(KOJI + here + COMES))).toEqual([`${NEW}: block, done, in c9s-blocked`]);
  });

  test('ends where the play says so, whatever still runs; entries need not be in order', async () => {
    const early = await play(`${KOJI}[[play]]\nat = "1m"\nend = true\n${COMES}`);
    expect(early.runs).toMatchObject([{ nvr: NEW, verdict: null, how: null }]);
  });

  test('goes on for a day after the last entry', async () => {
    const hangs = FAILS.replace('"fails"', '"hangs"').replace(/log = .*\n/, '');
    const limited = (policy: string) => gateOf(`policy = { ${policy} }`);
    const policy = 'longest_hold = "24h", longest_build = "10m", retries = { kmod = 0 }';
    expect((await play(KOJI + hangs + COMES, limited(policy))).runs[0]).toMatchObject({ how: null });
    const note = does('1h', 'untag', 'kernel = "kernel-5.14.0-1.el9"\ntag = "c9s-build"');
    expect((await play(KOJI + hangs + COMES + note, limited(policy))).runs[0]).toMatchObject({
      how: 'done',
      tags: ['c9s-blocked'],
    });
  });

  test('messages are lost until the next entry that is heard; the sweep finds the kernel', async () => {
    const lost = COMES.replace('"0s"', '"61s"').replace('tag =', 'heard = false\ntag =');
    const played = await play(KOJI + lost);
    expect(inShort(played)).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
    expect(played.story).toMatch(/^ {2}0:05:00 {2}c9s .*stands before the gate/m);
  });
});

describe('what persons do', () => {
  const waive = (at: string, more = '') =>
    does(at, 'waive', `by = "ada"\nkernel = "${NEW}"\nkmod = "kmod-a"\nreason = "fixed upstream"\n${more}`);

  test('a waiver lets a blocked kernel through', async () => {
    const played = await play(KOJI + FAILS + COMES + waive('2h', 'until = "1d"'));
    expect(played.runs[0]).toMatchObject({ verdict: 'promote', how: 'done', tags: ['c9s-candidate'] });
    expect(played.story).toContain(
      '    waiver 1: kmod-a waived by ada until 2026-01-06 10:00 UTC: fixed upstream\n',
    );
  });

  test('a waiver that ran out, or was ended, lets no kernel through', async () => {
    const late = COMES.replace('"0s"', '"3h"');
    const early = waive('1h', 'until = "1h"').replace(NEW, 'kernel-*');
    expect(inShort(await play(KOJI + FAILS + early + late))).toEqual([`${NEW}: block, done, in c9s-blocked`]);
    const forGood = waive('1h', 'until = "1d"').replace(NEW, 'kernel-*');
    expect((await play(KOJI + FAILS + forGood + late)).runs[0]).toMatchObject({ verdict: 'promote' });
    const ended = does('2h', 'unwaive', 'by = "grace"\nkmod = "kmod-a"');
    const played = await play(KOJI + FAILS + forGood + ended + late);
    expect(inShort(played)).toEqual([`${NEW}: block, done, in c9s-blocked`]);
    expect(played.story).toContain('$ kmod-gate unwaive 1 --by grace\n    waiver 1 has ended: kmod-a');
  });

  test('hold and release', async () => {
    const hold = does('1m', 'hold', `kernel = "${NEW}"\nreason = "QA looks first"`);
    const held = await play(KOJI + COMES + hold);
    expect(held.runs[0]).toMatchObject({ how: null, tags: ['c9s-gate'] });
    expect(held.story).toContain('held by kojiadmin: QA looks first');
    const release = does('5h', 'release', `by = "ada"\nkernel = "${NEW}"\ngate = "c9s"`);
    expect(inShort(await play(KOJI + COMES + hold + release))).toEqual([
      `${NEW}: promote, done, in c9s-candidate`,
    ]);
  });

  test('at the time at which a kernel comes: what stands first in the file is first', async () => {
    const hold = does('0s', 'hold', `kernel = "${NEW}"`);
    expect((await play(KOJI + COMES + hold)).runs[0]).toMatchObject({ how: null });
    expect((await play(KOJI + hold + COMES)).runs[0]).toMatchObject({ how: 'done' });
  });

  test('retry and cancel', async () => {
    const trouble = FAILS.replace('"fails"', '"mock-error"').replace('log =', 'before = "2h"\nlog =');
    const few = gateOf('policy = { retries = { kmod = 0 } }');
    const held = await play(KOJI + trouble + COMES, few);
    expect(held.runs[0]).toMatchObject({ verdict: 'hold', how: null, tags: ['c9s-gate'] });
    const retry = does('3h', 'retry', `by = "ada"\nkernel = "${NEW}"\nkmod = "kmod-*"`);
    expect((await play(KOJI + trouble + COMES + retry, few)).runs[0]).toMatchObject({
      verdict: 'promote',
      how: 'done',
    });
    const cancel = does('3h', 'cancel', `by = "ada"\nkernel = "${NEW}"\nreason = "no more of it"`);
    expect((await play(KOJI + trouble + COMES + cancel, few)).runs[0]).toMatchObject({
      how: 'cancelled',
      tags: ['c9s-gate'],
    });
  });

  test('a mended kmod is tagged, and tried again', async () => {
    const mended = 'kmod-a-1.1-1.el9';
    const koji = KOJI.replace('kmods = [', `kmods = [\n{ nvr = "${mended}", imports = { a = "0x1" } },`);
    const rule = FAILS.replace('"fails"', '"mock-error"').replace('log =', 'before = "2h"\nlog =');
    const tag = does('3h', 'tag', `kernel = "${mended}"\ntag = "kmods9s-release"`);
    const retry = does('3h', 'retry', `kernel = "${NEW}"`);
    const few = gateOf('policy = { retries = { kmod = 0 } }');
    const played = await play(koji + rule + COMES + tag + retry, few);
    expect(inShort(played)).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
    expect(played.story).toContain(`kojiadmin tags ${mended} into kmods9s-release`);
  });

  test('tag and untag by hand: the person wins', async () => {
    const untag = does('1m', 'untag', `by = "ada"\nkernel = "${NEW}"\ntag = "c9s-gate"`);
    const away = await play(KOJI + COMES + untag);
    expect(away.runs[0]).toMatchObject({ verdict: null, how: 'taken-over', tags: [] });
    expect(away.story).toContain(`ada untags ${NEW} from c9s-gate`);
    const untagged = COMES.replace('tag = "c9s-gate"\n', '');
    const tag = does('1h', 'tag', `by = "ada"\nkernel = "${NEW}"\ntag = "c9s-gate"`);
    expect(inShort(await play(KOJI + untagged + tag))).toEqual([`${NEW}: promote, done, in c9s-candidate`]);
  });

  test('what a hub would not let them do, they have not done', async () => {
    const tag = does('1h', 'tag', `by = "ada"\nkernel = "${OUT}"\ntag = "c9s-blocked"`);
    expect((await play(KOJI + tag)).story).toContain(
      `ada tries to tag ${OUT} into c9s-blocked, but the hub refuses it: policy violation (tag)`,
    );
  });

  test('what there is nothing for is told, and no more', async () => {
    const words = [
      does('0s', 'hold', `kernel = "${NEW}"`),
      does('1h', 'unwaive', 'kmod = "kmod-b"'),
      does('1h', 'retry', `kernel = "${OUT}"`),
      does('2h', 'waive', `kernel = "*"\nkmod = "kmod-a"\nreason = "x"\nuntil = "2026-01-01"`),
      does('3h', 'tag', `kernel = "${NEW}"\ntag = "c9s-gate"`),
    ];
    const absent = KOJI.replace(`nvr = "${NEW}", `, `nvr = "${NEW}", built = false, `);
    const { runs, story } = await play(absent + words.join(''));
    expect(runs).toEqual([]);
    expect(story).toContain(
      `$ kmod-gate hold ${NEW} --by kojiadmin\n    Nothing comes of it: ${NEW}: no such kernel`,
    );
    expect(story).toContain('kojiadmin wants to end a waiver of kmod-b for *, but there is none that holds');
    expect(story).toContain('Nothing comes of it: --until 2026-01-01: is over already');
    expect(story).toContain(`but the hub refuses it: No such build: '${NEW}'`);
  });
});

describe('whom the gate logs in as', () => {
  const asBot = CONFIG.replace('user = "kmod-gate"', 'user = "gate-bot"');
  test('the user of [koji] if the scenario has it, else kmod-gate', async () => {
    const bot = KOJI.replace('{ name = "ada" }', '{ name = "ada" }, { name = "gate-bot" }');
    const strict = bot.replace('kmod-gate = ["c9s-*"]\n', 'gate-bot = ["c9s-*"]\n');
    expect(inShort(await play(strict + COMES, gateOf(), asBot))).toEqual([
      `${NEW}: promote, done, in c9s-candidate`,
    ]);
    expect(inShort(await play(KOJI + COMES, gateOf(), asBot))).toEqual([
      `${NEW}: promote, done, in c9s-candidate`,
    ]);
  });
  test('nobody: an error that says whom to add', async () => {
    const none = KOJI.replace('{ name = "kmod-gate" }, ', '').replace('kmod-gate = ["c9s-*"]\n', '');
    await expect(play(none + COMES, gateOf(), asBot)).rejects.toThrow(
      /koji-\d+\.toml:3: users: .*no user gate-bot, nor kmod-gate; add a \[\[users\]\] table with name = "gate-bot"/,
    );
  });
});

describe('what is wrong is named, with its line and what to do', () => {
  test.each<[string, string, RegExp]>([
    [
      'a tag that the gate needs',
      KOJI.replace('{ name = "c9s-blocked", packages = ["kernel"] },', ''),
      /:4: tags: no tag c9s-blocked, which is needed by gate c9s as on_fail.tag; add a \[\[tags\]\] table/,
    ],
    [
      'a target that the gate needs',
      KOJI.replace('{ name = "kmods9s-gate"', '{ name = "other"'),
      /:12: targets: no target kmods9s-gate, which is needed by gate c9s as build.target; add/,
    ],
    [
      'a package that a tag does not list',
      KOJI.replace('["kmod-a", "kmod-b"]', '["kmod-a"]'),
      /: kmods\[1\]\.tags\[0\]: package kmod-b is not in the list of kmods9s-release; add it/,
    ],
    [
      'a kernel in a tag that does not list it',
      KOJI + COMES.replace('c9s-gate', 'kmods9s-release'),
      /: play\[0\]\.tag: package kernel is not in the list of kmods9s-release; add it/,
    ],
    [
      'a gate that is not there',
      `${KOJI}${does('0s', 'hold', `kernel = "${NEW}"\ngate = "c8s"`)}`,
      /: play\[0\]\.gate: no such gate: c8s; there is c9s; did you mean "c9s"\?/,
    ],
  ])('%s', async (_what, scenario, message) => {
    await expect(play(scenario)).rejects.toThrow(message);
  });
});
