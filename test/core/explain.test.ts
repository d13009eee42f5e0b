import { describe, expect, test } from 'vitest';
import { toExplain } from '../../src/core/explain.ts';
import type { ArchChange, ArchSymbols, LogError, Run } from '../../src/core/model.ts';
import { run as runWith } from './facts.ts';

const OLD = { id: 1, nvr: 'kernel-1-1' };
const none = { count: 0, first: [] };
const arch = (name: string, answer: ArchSymbols['answer'], changed = 0): ArchSymbols => ({
  ...{ arch: name, imports: 3, answer, cause: null, missing: none, fromBroken: none },
  changed: { count: changed, first: [] },
});
const change = (name: string, more: Partial<ArchChange> = {}): ArchChange => ({
  ...{ arch: name, common: 9, added: 0, removed: 0, changed: 1, everything: false, listed: null },
  ...more,
});
function shown(kmods: Record<string, readonly ArchSymbols[]>, arches: readonly ArchChange[]): Run {
  const symbols = {
    kmods: Object.entries(kmods).map(([kmod, arches]) => ({ kmod, arches })),
    change: { baseline: OLD, unreadable: null, arches },
    stablelist: null,
  };
  return { ...runWith(), baseline: OLD, symbols };
}

describe('causes are worth looking for', () => {
  test('where a kmod does not load since symbols changed, and of few architectures', () => {
    const run = shown(
      {
        a: [arch('aarch64', 'compatible'), arch('x86_64', 'incompatible', 1)],
        b: [arch('aarch64', 'incompatible', 1), arch('x86_64', 'incompatible', 2)],
      },
      [change('aarch64'), change('x86_64')],
    );
    expect(toExplain(run)).toEqual({ baseline: OLD, arches: ['x86_64'] });
  });

  test('of one more architecture where only that shows a kmod', () => {
    const run = shown(
      {
        a: [arch('x86_64', 'incompatible', 1)],
        b: [arch('x86_64', 'incompatible', 1)],
        c: [arch('s390x', 'incompatible', 1)],
      },
      [change('s390x'), change('x86_64')],
    );
    expect(toExplain(run)?.arches).toEqual(['x86_64', 's390x']);
  });

  test('where a listed symbol changed, but not where it only went', () => {
    const listed = (after: number | null) => [{ symbol: 'a', before: 1, after, provider: 'kernel-core' }];
    expect(toExplain(shown({}, [change('x86_64', { listed: listed(2) })]))?.arches).toEqual(['x86_64']);
    expect(toExplain(shown({}, [change('x86_64', { listed: listed(null) })]))).toBeUndefined();
  });

  test('where a compiler complains of the kernel, and not of its baseline', () => {
    const error: LogError = { kind: 'source', file: 'a.c', line: 1, message: 'too few arguments' };
    const build = (kind: LogError['kind'], against?: typeof OLD): Run => {
      const ending = {
        ...({ at: 1, fact: 3, how: 'failed', why: 'failed' } as const),
        build: {
          state: 'failed' as const,
          arches: [
            { arch: 'x86_64', task: 9, state: 5, buildroot: null, repo: null, errors: [{ ...error, kind }] },
          ],
        },
      };
      const write = {
        ...({ kind: 'scratch-build', kmod: 'a', source: 'a.src.rpm', target: 't', priority: 5 } as const),
        ...(against && { against }),
      };
      return { ...runWith(), baseline: OLD, intents: [{ id: 'i', fact: 2, askedAt: 0, write, ending }] };
    };
    expect(toExplain(build('source'))).toEqual({ baseline: OLD, arches: ['x86_64'] });
    expect(toExplain(build('dependency'))).toBeUndefined();
    expect(toExplain(build('source', OLD))).toBeUndefined();
  });

  test('not where nothing is broken, nothing can be compared with, or all changed with the compiler', () => {
    const broken = { a: [arch('x86_64', 'incompatible', 1)] };
    expect(toExplain(shown({ a: [arch('x86_64', 'compatible')] }, [change('x86_64')]))).toBeUndefined();
    expect(
      toExplain({
        ...shown(broken, []),
        symbols: { kmods: [], change: null, stablelist: null },
        baseline: null,
      }),
    ).toBeUndefined();
    expect(toExplain(shown(broken, [change('x86_64', { everything: true })]))).toBeUndefined();
    const unreadable = shown(broken, [change('x86_64')]);
    const unread = { baseline: OLD, unreadable: 'no such build', arches: [] };
    expect(
      toExplain({
        ...unreadable,
        symbols: { kmods: [], stablelist: null, ...unreadable.symbols, change: unread },
      }),
    ).toBeUndefined();
  });
});
