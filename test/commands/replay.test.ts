/** `kmod-gate replay` over a store that a gate has left. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CheckError } from '../../src/commands/error.ts';
import { replayCommand } from '../../src/commands/replay.ts';
import type { Config } from '../../src/config/config.ts';
import type { Gate } from '../../src/core/model.ts';
import { openStore } from '../../src/store/open.ts';
import { BUILDS, FAILS, GATE, KERNEL, kmod } from '../core/facts.ts';

const BEGAN = Date.UTC(2026, 10, 1, 12);
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  const store = await openStore(`sqlite:${join(folder, 'gate.db')}`, { mode: 'write' });
  await store.seeKernel(KERNEL, BEGAN);
  const kmods = [kmod('kmod-a'), { ...kmod('kmod-b'), buildId: 2 }];
  const begun = {
    id: 'c9s/30/1',
    gate: 'c9s',
    kernel: KERNEL,
    generation: 1,
    entry: 7,
    tags: ['gate'],
    kmods,
  };
  await store.beginRun({ ...begun, startedAt: BEGAN, strategy: 'rebuild', baseline: null });
  const run = await store.run('c9s/30/1');
  if (!run) throw new Error('no run');
  const writes = kmods.map(({ name, source }) => ({
    ...({ kind: 'scratch-build', target: 'try', priority: 5 } as const),
    kmod: name,
    source,
  }));
  const [a, b] = await store.intend(run, writes, BEGAN);
  if (a) await store.end(run, a, { at: BEGAN, how: 'done', build: BUILDS });
  if (b) await store.end(run, b, { at: BEGAN, how: 'failed', why: 'x', build: FAILS });
  await store.judge(run, { verdict: 'block', reasons: ['kmod-b'] }, [], BEGAN);
  await store.closeRun(run, { at: BEGAN, how: 'done', why: 'moved' });
  await store.close();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function replayed(
  gate: Partial<Gate>,
  options: { since?: string; json?: boolean } = {},
): Promise<string> {
  const written: string[] = [];
  const output = { write: (more: string) => void written.push(more), colour: false };
  const config = { store: { url: `sqlite:${join(folder, 'gate.db')}` }, gates: [{ ...GATE, ...gate }] };
  await replayCommand(config as unknown as Config, output, { json: false, ...options });
  return written.join('');
}

test('by the same policy nothing would be different', async () => {
  expect(await replayed({})).toMatch(/\n\n0 verdicts of 1 would be another one\.\n$/);
});
test('by another one the kernel, both verdicts and the reason are told', async () => {
  const text = await replayed({ kmods: { ...GATE.kmods, advisory: ['kmod-b'] } });
  expect(text).toMatch(
    /^\*\s.*kernel-5\.14\.0-70\.el9\s+block\s+promote\s+kmod-b-1-1 \(advisory\): does not build/m,
  );
  expect(text).toContain('1 verdict of 1 would be another one.');
});
test('what was not tried that way is unknown, and says of which kmods', async () => {
  expect(await replayed({ strategy: 'symbols' })).toContain(
    'Of kmod-a, kmod-b there is evidence missing that this policy asks for',
  );
});
test('as JSON it has both', async () => {
  const { runs } = JSON.parse(
    await replayed({ kmods: { ...GATE.kmods, exclude: ['kmod-b'] } }, { json: true }),
  );
  expect(runs).toMatchObject([
    {
      run: 'c9s/30/1',
      was: { verdict: 'block' },
      would_be: { verdict: 'promote', missing: [] },
      differs: true,
    },
  ]);
});
test('only runs since a date, or a duration ago, count; what is neither is refused', async () => {
  expect(await replayed({}, { since: '2026-11-01' })).toContain('of 1 would');
  expect(await replayed({}, { since: '2026-11-01T13:00Z' })).toBe(
    'The store has no run of a configured gate since then.\n',
  );
  expect(await replayed({}, { since: '1ms' })).toContain('no run');
  for (const since of ['4000d', '600w', '99999h'])
    expect(await replayed({}, { since })).toContain('of 1 would');
  await expect(replayed({}, { since: 'yesterday' })).rejects.toThrow(CheckError);
});
