/** What the documents and doctor ask of the hub: never that the gate may do everything. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileOf } from '../commands/program.ts';

const textOf = (file: string) => readFileSync(fileOf(file), 'utf8');
const doctor = readdirSync(fileOf('src/commands/doctor')).map((file) => join('src/commands/doctor', file));

describe('the gate is no admin', () => {
  test.each(['src/commands/doctor.ts', ...doctor, 'deploy/koji-setup.md', 'docs/rebuilds.md'])(
    '%s gives it no permission that is for everything',
    (file) => {
      expect(textOf(file)).not.toMatch(/grant-permission\s+(?:--\S+\s+)*(?:admin|tag|host|repo)\b/);
    },
  );

  test('the rules for it name packages and tags, and say what for', () => {
    const [, policy = ''] = /```ini\n([\s\S]*?)```/.exec(textOf('deploy/koji-setup.md')) ?? [];
    const rules = policy.split('\n').filter((line) => line.includes('user kmod-gate') && !line.includes('#'));
    expect(rules.length).toBeGreaterThan(2);
    const [tags, others] = [
      rules.filter((rule) => rule.includes('package')),
      rules.filter((rule) => !rule.includes('package')),
    ];
    expect(tags.every((rule) => / && package kernel && .*\b(?:tag|fromtag) c9s/.test(rule))).toBe(true);
    expect(others.map((rule) => rule.trim())).toEqual([
      'user kmod-gate && tag kmods9s-build :: allow',
      'user kmod-gate :: allow',
    ]);
    // The one without a condition is for repos alone.
    expect(policy).toMatch(/^build_from_repo_id =\n {4}user kmod-gate :: allow$/m);
  });
});

describe('docs/threats.md', () => {
  test('names tests that are there', () => {
    const named = [...textOf('docs/threats.md').matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((file) => textOf(file) === '')).toEqual([]);
  });
});
