import { expect, test } from 'vitest';
import { ConfigError } from '../../src/config/error.ts';
import { CONFIG_HERE, CONFIG_OF_MACHINE, findConfig } from '../../src/config/find.ts';

const nothing = () => false;
const everything = () => true;

test('what is said counts before all else, then the environment, though it is not there', () => {
  const env = { KMOD_GATE_CONFIG: '/srv/gate.toml' };
  expect(findConfig('mine.toml', env, everything)).toBe('mine.toml');
  expect(findConfig('', env, everything)).toBe('/srv/gate.toml');
  expect(() => findConfig('', env, nothing)).toThrow(
    '/srv/gate.toml: is not there; KMOD_GATE_CONFIG names it',
  );
  expect(findConfig('mine.toml', env, nothing)).toBe('mine.toml');
});

test('then the folder, then the machine', () => {
  expect(findConfig('', {}, everything)).toBe(CONFIG_HERE);
  expect(findConfig('', { KMOD_GATE_CONFIG: '' }, (file) => file === CONFIG_OF_MACHINE)).toBe(
    '/etc/kmod-gate/kmod-gate.toml',
  );
});

test('where there is none, the error names each place', () => {
  expect(() => findConfig('', {}, nothing)).toThrow(ConfigError);
  expect(() => findConfig('', {}, nothing)).toThrow(
    /^kmod-gate\.toml: is not there, nor is \/etc\/kmod-gate\/kmod-gate\.toml, and KMOD_GATE_CONFIG names none; say -c FILE; /,
  );
});
