/** A gate whose stablelist has CRCs, and severities that let some of the listed symbols change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { readSeveritiesNow, readStablelists } from '../../src/config/stablelist.ts';
import type { Gate } from '../../src/core/model.ts';
import { GATE, NEW, type Stage, setStage } from './stage.ts';

const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-severities-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, ...lines: string[]) => {
  writeFileSync(join(folder, name), lines.map((line) => `${line}\n`).join(''));
  return join(folder, name);
};
/** Of NEW kfree is so, seq_printf has another CRC, and pci_clear_master is gone. */
const LIST = file(
  'Module.kabi_x86_64',
  '0x037a0cba\tkfree\tvmlinux\tEXPORT_SYMBOL\t',
  '0xac8427d8\tseq_printf\tfs/seq/seq\tEXPORT_SYMBOL\t',
  '0x453af477\tpci_clear_master\tdrivers/pci/pci\tEXPORT_SYMBOL\t',
);

let stage: Stage;
afterEach(async () => stage.end());

/** NEW in a gate with that list; the kmods but for `exclude` are rebuilt, or judged by their symbols. */
async function play(rules: readonly string[], exclude: readonly string[], gate: Partial<Gate> = {}) {
  const severities = rules.length > 0 ? readSeveritiesNow(file('severities', ...rules), {}) : undefined;
  const stablelist = { effect: 'block' as const, ...readStablelists(LIST, {}, severities) };
  stage = await setStage({
    gate: { strategy: 'rebuild', stablelist, kmods: { ...GATE.kmods, exclude }, ...gate },
  });
  stage.world.completeKernel(NEW, { tag: GATE.watch });
  const run = await stage.closed(NEW);
  return {
    verdict: run.verdict?.verdict,
    reason: run.verdict?.reasons[0],
    listed: run.symbols?.sinceList?.flatMap(({ listed }) => listed?.map(({ symbol }) => symbol)),
  };
}
const FITTING = ['kmod-beta', 'kmod-gamma'];

test('without them another CRC and what is gone break the list', async () => {
  expect(await play([], FITTING)).toMatchObject({
    verdict: 'block',
    listed: ['pci_clear_master', 'seq_printf'],
  });
});
test('what they let change or go does not', async () => {
  expect(await play(['fs/* PASS', 'pci_* PASS'], FITTING)).toEqual({
    verdict: 'promote',
    reason: 'stablelist: kept, with the CRCs that it has',
    listed: [],
  });
});
test('where they let all of it change, there is nothing to break', async () => {
  expect(await play(['SYMBOL * PASS'], FITTING)).toMatchObject({ verdict: 'promote', listed: [] });
});
test('what they do not let change still does, and the first rule that matches counts', async () => {
  expect(await play(['seq_printf FAIL', 'fs/* PASS', 'drivers/* PASS'], FITTING)).toEqual({
    verdict: 'block',
    reason:
      "stablelist: 1 listed symbol is not as the list has it on x86_64 (seq_printf: listed CRC 0xac8427d8, kernel's 0x2529ebe1)",
    listed: ['seq_printf'],
  });
});
test('a kmod that needs what they let change is broken all the same', async () => {
  const rules = ['fs/* PASS', 'drivers/* PASS'];
  const { verdict, reason, listed } = await play(rules, ['kmod-gamma'], { strategy: 'symbols' });
  expect({ verdict, listed }).toEqual({ verdict: 'block', listed: [] });
  expect(reason).toMatch(
    /^kmod-beta-2\.1-3\.el9: does not load on x86_64: 1 of its 2 symbols has another CRC/,
  );
});
