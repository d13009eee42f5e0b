/** What a new user does first, with the built program. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runProgram } from './program.ts';

describe('kmod-gate demo', () => {
  test('promotes, blocks, finds what no message told of, and says so as JSON, last', async () => {
    const { code, stdout } = await runProgram('demo', '--json');
    expect(code).toBe(0);
    const { runs } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(runs.map(({ nvr, verdict, tags }: Record<string, unknown>) => ({ nvr, verdict, tags }))).toEqual([
      { nvr: 'kernel-6.1.176-50.el9', verdict: 'promote', tags: ['c9s-candidate'] },
      { nvr: 'kernel-6.1.187-53.el9', verdict: 'block', tags: ['c9s-blocked'] },
      { nvr: 'kernel-6.1.192-56.el9', verdict: 'promote', tags: ['c9s-candidate'] },
      { nvr: 'kernel-6.1.192-63.el9', verdict: 'promote', tags: ['c9s-candidate'] },
    ]);
    expect(runs[1].reasons[0]).toMatch(
      /^kmod-jool-dkms-4.1.9-1.el9: does not build on x86_64: src\/mod\/common\/nl\/nl_handler.c:205: /,
    );
    expect(runs[1].kmods).toHaveLength(14);
    expect(stdout).toMatch(
      /^Try next:\n(?: {2}node dist\/main\.js .*\n {6}.*\n)* {2}node dist\/main\.js rehearse --config \S*config\/demo\/kmod-gate.toml --scenario \S+\n/m,
    );
    // Of the one that is blocked the source is compared, from what a web server has of both kernels.
    expect(stdout).toMatch(
      /kernel-6\.1\.187-53\.el9 {2}changed in the source since kernel-6\.1\.176-50\.el9 on x86_64: struct .* and \d+ more, which hits \d+ of 14 kmods$/m,
    );
    const told = runs[3].reasons.join('\n');
    expect(told).toMatch(/^kmod-jool-dkms-\S+ \(waived by release-manager until \S+ \S+ UTC: its vendor /m);
    expect(told).toMatch(/^kmod-legacy-raid-\S+ \(already broken\): .*; nor does it build against kernel-6/m);
    expect(told).toMatch(
      /^kmod-experimental-pin-\S+ \(advisory, inconclusive\): tested the wrong kernel .*; its BuildRequires pin/m,
    );
  }, 300_000);
});

describe('exit codes', () => {
  const example = fileURLToPath(new URL('../../config/kmod-gate.toml', import.meta.url));
  test.each<[string[], number, RegExp]>([
    [['--version'], 0, /^\d+\.\d+\.\d+/],
    [['help'], 0, /Usage: kmod-gate/],
    [['nonsense'], 2, /unknown command 'nonsense'/],
    [['run', '--log', 'xml'], 2, /Allowed choices are json, pretty, journald/],
    [['run', '--config', 'no-such-file.toml'], 2, /no-such-file\.toml/],
    [['status', '--config', 'no-such-file.toml'], 2, /no-such-file\.toml/],
    [['config', 'check', 'no-such-file.toml'], 2, /no-such-file\.toml/],
    [
      ['config', 'check', fileURLToPath(new URL('../config/ten-mistakes.toml', import.meta.url))],
      2,
      /10 mistakes/,
    ],
    [['explain'], 2, /missing required argument 'kernel|kmod'/],
  ])('%j: %i', async (args, code, says) => {
    const ended = await runProgram(...args);
    expect(ended.stdout + ended.stderr).toMatch(says);
    expect(ended.code).toBe(code);
  });
  test('config check prints what it understood of the example', async () => {
    const { code, stdout } = await runProgram('config', 'check', example);
    expect(stdout).toContain('c9s');
    expect(code).toBe(0);
  });
});
