import { expect, test } from 'vitest';
import { selectKmods } from '../../src/core/select.ts';
import { GATE } from './facts.ts';

const build = (name: string) => ({
  build_id: 1,
  name,
  nvr: `${name}-1-1`,
  version: '1',
  release: '1',
  volume_name: 'DEFAULT',
});
const chosen = (kmods: Partial<typeof GATE.kmods>, ...names: string[]) =>
  selectKmods(
    { kernels: ['kernel'], arches: null, kmods: { ...GATE.kmods, ...kmods } },
    names.map(build),
  ).map(({ name, required }) => (required ? name : `${name} (advisory)`));

test('kmods are chosen by pattern, exclude wins, and the kernel never is one', () => {
  expect(chosen({}, 'kmod-b', 'kernel', 'kmod-a')).toEqual(['kmod-a', 'kmod-b']);
  expect(chosen({ include: ['kmod-*'], exclude: ['kmod-b*'] }, 'kmod-a', 'kmod-bb', 'other')).toEqual([
    'kmod-a',
  ]);
  expect(chosen({ advisory: ['*-a'] }, 'kmod-a', 'kmod-b')).toEqual(['kmod-a (advisory)', 'kmod-b']);
  expect(chosen({ include: [] }, 'kmod-a')).toEqual([]);
});
