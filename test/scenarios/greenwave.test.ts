/** A gate that promotes only what Greenwave lets through, too: over HTTP, on a Koji in memory. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { greenwaveWords } from '../../src/tell/greenwave.ts';
import { greenwave, type Policy } from '../tell/fakes.ts';
import { policy, STANDS } from './scenes.ts';
import { GATE, NEW, type Stage, setStage } from './stage.ts';

const POLL = 30_000;
const TESTCASE = 'boot.tier1';
const POLICY: Policy = {
  id: 'kernel',
  product_versions: ['c9s'],
  decision_contexts: ['kernel_promotion'],
  rules: [{ test_case_name: TESTCASE }],
};

type Results = Parameters<typeof greenwave>[1][number][];
let results: Results;
let broken: { status: number; body: unknown } | undefined;
let asked: number;
let wave: Awaited<ReturnType<typeof greenwave>>;
let stage: Stage;

const result = (outcome: string) =>
  results.push({
    ...{
      id: results.length + 1,
      testcase: { name: TESTCASE },
      outcome,
      note: null,
      ref_url: null,
      groups: [],
    },
    data: { item: [NEW], type: ['koji_build'] },
  });
const says = (text: string) =>
  stage.until(`it says: ${text}`, async () => (await stage.said(NEW))?.includes(text));

beforeEach(async () => {
  results = [];
  broken = undefined;
  asked = 0;
  wave = await greenwave([POLICY], results, () => {
    asked++;
    return broken;
  });
  const at = { url: wave.url, timeout: 5_000, header_files: {} };
  const settings = { ...at, productVersion: 'GATE', decisionContext: 'kernel_promotion' };
  stage = await setStage({
    gate: { ...policy({ wait_for: 'greenwave' }), kmods: { ...GATE.kmods, exclude: ['kmod-gamma'] } },
    askGreenwave: (now) => greenwaveWords(settings, POLL, now),
  });
  stage.hear();
});
afterEach(async () => {
  await stage.end();
  await wave.close();
});

test('the kernel passes once the missing result is there, and not before', async () => {
  stage.world.completeKernel(NEW, STANDS);
  await says('promote: waits for Greenwave: 1 of 1 required results missing: boot.tier1 missing');
  await stage.pass(60 * 60_000, 60_000);
  expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  result('PASSED');
  expect((await stage.closed(NEW)).closing?.how).toBe('done');
  expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
});

test('a failed test needs a person; a waiver in its place lets the kernel through', async () => {
  result('FAILED');
  stage.world.completeKernel(NEW, STANDS);
  await says('held: Greenwave lets it not through: 1 of 1 required tests failed: boot.tier1 failed');
  results.length = 0;
  result('INFO');
  await stage.closed(NEW);
  expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
});

test('one that cannot be asked, or answers nonsense, lets nothing through', async () => {
  broken = { status: 503, body: { message: 'ResultsDB does not answer' } };
  stage.world.completeKernel(NEW, STANDS);
  await says('promote: waits for Greenwave: Greenwave: 503: ResultsDB does not answer');
  broken = { status: 200, body: { policies_satisfied: 'yes' } };
  await says('an answer that is no decision');
  broken = { status: 404, body: { message: 'no applicable policies' } };
  await says('held: Greenwave lets it not through: Greenwave: 404: no applicable policies');
  expect(stage.world.tags(NEW)).toEqual(['c9s-gate']);
  broken = undefined;
  result('PASSED');
  await stage.closed(NEW);
  expect(stage.world.tags(NEW)).toEqual(['c9s-candidate']);
});

test('a person who moves the kernel meanwhile has the last word', async () => {
  stage.world.completeKernel(NEW, STANDS);
  await says('promote: waits for Greenwave');
  stage.world.as('kojiadmin').untagBuild('c9s-gate', NEW);
  stage.world.as('kojiadmin').tagBuild('c9s-blocked', NEW);
  result('PASSED');
  expect((await stage.closed(NEW)).closing?.how).toBe('taken-over');
  expect(stage.world.tags(NEW)).toEqual(['c9s-blocked']);
});

test('a waiting kernel is asked about once in a poll, however often it is looked at', async () => {
  stage.world.completeKernel(NEW, STANDS);
  await says('promote: waits for Greenwave');
  const before = asked;
  const began = stage.world.now();
  for (let i = 0; i < 20; i++) {
    stage.hint({ kind: 'build', id: stage.buildId(NEW) });
    await stage.step(1_000);
  }
  const polls = Math.ceil((stage.world.now() - began) / POLL);
  expect(asked - before).toBeLessThanOrEqual(polls);
});
