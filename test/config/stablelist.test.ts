import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeConfig } from '../../src/config/config.ts';
import { parseGate } from './gate.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-stablelist-'));
  write('kabi_stablelist_x86_64', '[rhel9_x86_64_stablelist]\n\tkfree\n\tseq_printf\n');
  write('kabi_stablelist_aarch64', '[rhel9_aarch64_stablelist]\n\tkfree\n');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

/** The configuration of a gate with these keys; a ConfigError's text where there is none. */
const parse = (keys: string) => parseGate({ gate: keys }, { HOME: folder });
const stablelistOf = (keys: string) => {
  const config = parse(keys);
  return typeof config === 'string' ? config : config.gates[0]?.stablelist;
};

describe('a stablelist', () => {
  it('is none unless one is named', () => {
    expect(stablelistOf('')).toBeNull();
  });
  it('of one file counts on every architecture, and blocks', () => {
    expect(stablelistOf('stablelist = "~/kabi_stablelist_x86_64"')).toEqual({
      effect: 'block',
      symbols: { '*': ['kfree', 'seq_printf'] },
    });
  });
  it('of one file an architecture', () => {
    const keys = `stablelist = "${folder}/kabi_stablelist_{arch}"\non_stablelist = "warn"`;
    expect(stablelistOf(keys)).toEqual({
      effect: 'warn',
      symbols: { x86_64: ['kfree', 'seq_printf'], aarch64: ['kfree'] },
    });
    const config = parse(keys);
    expect(typeof config === 'string' ? config : describeConfig(config)).toMatch(
      /^ {2}kABI {5}stablelist, \d symbols? of \w+, \d symbols? of \w+: a change is only told$/m,
    );
  });
  it.each([
    ['~/nowhere', /^gate\.toml:10: gate\[0\]\.stablelist: cannot be read: ENOENT/],
    ['~/list_{arch}', /^gate\.toml:10: gate\[0\]\.stablelist: no file .*list_\{arch\} for any architecture$/],
  ])('that is not there (%s) is told with its key', (file, expected) => {
    expect(stablelistOf(`stablelist = "${file}"`)).toMatch(expected);
  });
  it('that is none is told with the line', () => {
    write('garbage', '[list]\n\tkfree\n\tnot a symbol\n');
    expect(stablelistOf('stablelist = "~/garbage"')).toMatch(/garbage: line 3: .* is not one symbol/);
  });
});
