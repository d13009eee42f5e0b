import { describe, expect, test } from 'vitest';
import type { ArchSymbols, Gate, Run } from '../../src/core/model.ts';
import { replay } from '../../src/core/replay.ts';
import { BUILDS, FAILS, GATE, run, tried } from './facts.ts';

/** kmod-a builds, kmod-b does not; both were required, and the kernel was blocked. */
const OVER = run({
  intents: [tried('kmod-a', BUILDS), tried('kmod-b', FAILS)],
  verdict: { at: 5, verdict: 'block', reasons: ['kmod-b'] },
  closing: { at: 6, how: 'done', why: 'moved' },
});
const said = (gate: Partial<Gate>, facts: Partial<Run> = {}) => {
  const { verdict, missing } = replay({ ...GATE, ...gate }, { ...OVER, ...facts }, 1_000_000);
  return [verdict, ...missing].join(' ');
};
const FITS: ArchSymbols = {
  arch: 'x86_64',
  imports: 2,
  missing: { count: 0, first: [] },
  changed: { count: 0, first: [] },
  fromBroken: { count: 0, first: [] },
  answer: 'compatible',
  cause: null,
};
const symbols = (...names: string[]) => ({
  symbols: {
    kmods: names.map((name) => ({ kmod: name, arches: [FITS] })),
    change: null,
    stablelist: null,
  },
});

describe('a run that blocked, judged by', () => {
  test.each<[string, Partial<Gate>, Partial<Run>, string]>([
    ['the same gate', {}, {}, 'block'],
    ['one for which kmod-b is advisory', { kmods: { ...GATE.kmods, advisory: ['*-b'] } }, {}, 'promote'],
    ['one that leaves kmod-b out', { kmods: { ...GATE.kmods, exclude: ['*-b'] } }, {}, 'promote'],
    ['one that includes no kmod of it', { kmods: { ...GATE.kmods, include: ['other-*'] } }, {}, 'hold'],
    [
      'one that lets the unattributed pass',
      { policy: { ...GATE.policy, unattributed: 'pass' } },
      {},
      'promote',
    ],
    ['symbols, which were not read', { strategy: 'symbols' }, {}, 'unknown kmod-a kmod-b'],
    ['symbols, which fit', { strategy: 'symbols' }, symbols('kmod-a', 'kmod-b'), 'promote'],
    [
      'symbols, then what was built',
      { strategy: 'symbols-then-rebuild' },
      symbols('kmod-a', 'kmod-b'),
      'promote',
    ],
    ['both', { strategy: 'symbols-and-rebuild' }, symbols('kmod-a', 'kmod-b'), 'block'],
    [
      'both, of which one was not read',
      { strategy: 'symbols-and-rebuild' },
      symbols('kmod-b'),
      'block kmod-a',
    ],
    ['a rebuild, which was not made', {}, { intents: [tried('kmod-a', BUILDS)] }, 'unknown kmod-b'],
  ])('%s', (_, gate, facts, expected) => expect(said(gate, facts)).toBe(expected));

  test('a gate with the waivers that held when it was decided', () => {
    const waiver = { id: 1, at: 1, fact: 1, by: 'ada', reason: 'x', gate: null, kernel: '*', kmod: 'kmod-b' };
    expect(said({}, { waivers: [{ ...waiver, until: 6, ends: 6 }] })).toBe('promote');
    expect(said({}, { waivers: [{ ...waiver, until: 5, ends: 5 }] })).toBe('block');
    expect(said({}, { waivers: [{ ...waiver, at: 6, fact: 6, until: null, ends: null }] })).toBe('block');
  });
});
