/** Results in ResultsDB, what Greenwave makes of them, and the fakes of both by what their documentation shows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ResultsdbSettings } from '../../src/config/tell.ts';
import { askGreenwave, GreenwaveError } from '../../src/tell/greenwave.ts';
import { resultsdbChannel } from '../../src/tell/resultsdb.ts';
import type { Sources } from '../../src/tell/subject.ts';
import type { Teller } from '../../src/tell/teller.ts';
import { GATE, NEW, type Stage, type StageOptions, setStage } from '../scenarios/stage.ts';
import { greenwave, type Policy, resultsdb } from './fakes.ts';
import { CONTACT, sourcesOf, tellOf } from './telling.ts';

const TESTCASE = 'kmod-gate.koji-build.c9s.validation';
const POLICY: Policy = {
  id: 'kernel-kmods',
  product_versions: ['rhel-9'],
  decision_contexts: ['kernel_promotion'],
  rules: [{ test_case_name: TESTCASE }],
};
const ASKED = { product_version: 'rhel-9', decision_context: 'kernel_promotion', nvr: NEW };
const TO: Omit<ResultsdbSettings, 'url'> = {
  ...{ api: 'v2.0', namespace: 'kmod-gate.koji-build', category: 'validation', kmods: true, progress: true },
  ...{ header_files: {}, timeout: 5_000 },
};

describe('ResultsDB', () => {
  let stage: Stage;
  let sources: Sources;
  let teller: Teller;
  let db: Awaited<ReturnType<typeof resultsdb>>;
  let wave: Awaited<ReturnType<typeof greenwave>>;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  });
  afterEach(async () => {
    await teller.stop();
    await sources.hub.close();
    await stage.end();
    await db.close();
    await wave.close();
    rmSync(folder, { recursive: true, force: true });
  });
  async function set(
    more: Partial<ResultsdbSettings> = {},
    { token, outage, ...options }: StageOptions & { token?: string; outage?: number } = {},
  ): Promise<void> {
    stage = await setStage(options);
    sources = sourcesOf(stage);
    db = await resultsdb({ ...(token !== undefined && { token }), ...(outage !== undefined && { outage }) });
    wave = await greenwave([POLICY], db.results);
    teller = await tellOf(stage, [resultsdbChannel({ ...TO, url: db.url, ...more }, sources)]);
    stage.hear();
    stage.world.completeKernel(NEW, { tag: GATE.watch });
  }
  const said = () => db.results.map(({ outcome, data }) => [outcome, ...(data['scenario'] ?? [])].join(' '));
  const decision = () => askGreenwave({ url: wave.url, timeout: 5_000 }, ASKED);

  test('a blocked kernel, its kmods as scenarios; a waiver makes it pass, for Greenwave too', async () => {
    await set({ contact: CONTACT });
    await stage.until('tried', () => stage.scratchBuilds('kmod-alpha').length);
    await teller.drain();
    expect(said()).toEqual(['QUEUED', 'RUNNING']);
    expect(await decision()).toMatchObject({
      satisfied: false,
      summary: '1 of 1 required results missing',
      unsatisfied: [{ type: 'test-result-missing', testcase: TESTCASE, result: 2 }],
    });
    await stage.closed(NEW);
    await teller.drain();
    expect(said().slice(2)).toEqual(['FAILED', 'PASSED kmod-alpha', 'PASSED kmod-beta', 'FAILED kmod-gamma']);
    const [queued, , whole, , , gamma] = db.results;
    expect(whole).toMatchObject({
      ...{ testcase: { name: TESTCASE }, groups: queued?.groups },
      ref_url: `https://gate.example.org/kernel/${stage.buildId(NEW)}`,
      data: { item: [NEW], type: ['koji_build'], arch: ['x86_64'], ci_team: ['Kernel gating'] },
    });
    expect(gamma?.note).toMatch(/^kmod-gamma-0\.8-1\.el9: .*pci_clear_master/);
    expect(await decision()).toMatchObject({
      satisfied: false,
      policies: ['kernel-kmods'],
      unsatisfied: [
        { type: 'test-result-failed', scenario: null, text: `${TESTCASE} failed` },
        { type: 'test-result-failed', scenario: 'kmod-gamma', text: `${TESTCASE} (kmod-gamma) failed` },
      ],
    });
    await stage.waive();
    stage.heard();
    await stage.until('passed', async () => (await stage.run(NEW))?.verdict?.verdict === 'promote');
    await teller.drain();
    expect(said().slice(6)).toEqual(['PASSED', 'PASSED kmod-alpha', 'PASSED kmod-beta', 'INFO kmod-gamma']);
    expect(await decision()).toEqual({
      satisfied: true,
      summary: 'All required tests passed',
      policies: ['kernel-kmods'],
      unsatisfied: [],
    });
  });

  test('what is cancelled is an error; without progress and kmods only verdicts are results', async () => {
    await set();
    await stage.until('tried', () => stage.scratchBuilds('kmod-alpha').length);
    await stage.order('cancel');
    await stage.closed(NEW);
    await teller.drain();
    expect(said()).toEqual(['QUEUED', 'RUNNING', 'ERROR']);
    expect(db.results[2]?.data['error_reason']?.[0]).toMatch(/^cancelled: /);
    expect(await decision()).toMatchObject({ unsatisfied: [{ type: 'test-result-errored' }] });
    expect((await decision()).unsatisfied[0]?.text).toContain('errored - cancelled: ');
  });

  test('only verdicts, of the kernel alone', async () => {
    await set({ progress: false, kmods: false });
    await stage.closed(NEW);
    await teller.drain();
    expect(said()).toEqual(['FAILED']);
  });

  test('a ResultsDB that is away has them in order once it is back', async () => {
    await set({}, { outage: 2 });
    await stage.closed(NEW);
    await teller.drain();
    expect(teller.state()[0]?.error).toMatch(/^ResultsDB 127\.0\.0\.1:\d+: 503 <html>Service Unavailable/);
    for (let i = 0; i < 2; i++) {
      stage.world.tick(60_000);
      await teller.drain();
    }
    expect(said().slice(0, 3)).toEqual(['QUEUED', 'RUNNING', 'FAILED']);
    expect(said()).toHaveLength(6);
  });

  test('API 3, with a token from a file', async () => {
    const token = join(folder, 'token');
    writeFileSync(token, 'Bearer t0k3n\n');
    await set({ api: 'v3', contact: CONTACT, header_files: { authorization: token } }, { token: 't0k3n' });
    await stage.closed(NEW);
    await teller.drain();
    expect(said()).toHaveLength(6);
    expect(db.results[5]).toMatchObject({
      outcome: 'FAILED',
      data: { item: [NEW], brew_task_id: [String(stage.world.build(NEW)?.task_id)], type: ['brew-build'] },
    });
    expect(db.results[5]?.data['scenario']).toEqual(['kmod-gamma']);
  });
});

describe('Greenwave', () => {
  const ask = async (status: number, body: unknown) => {
    const server = await greenwave([], [], () => ({ status, body }));
    try {
      return await askGreenwave({ url: `${server.url}/`, timeout: 5_000 }, ASKED);
    } catch (error) {
      if (error instanceof GreenwaveError) return `${error.kind}: ${error.message}`;
      throw error;
    } finally {
      await server.close();
    }
  };
  /** As Greenwave's API documentation has it. */
  const RECORDED = {
    policies_satisfied: true,
    summary: 'All required tests passed',
    applicable_policies: ['taskotron_release_critical_tasks_for_stable'],
    unsatisfied_requirements: [],
    satisfied_requirements: [
      { result_id: 38088806, testcase: 'dist.abicheck', type: 'test-result-passed' },
      {
        ...{ scenario: null, subject_identifier: 'bodhi-5.1.1-1.fc32', waiver_id: 256 },
        ...{ subject_type: 'koji_build', testcase: 'dist.rpmdeplint', type: 'test-result-missing-waived' },
      },
    ],
  };

  test('a recorded decision, and what it wants', async () => {
    expect(await ask(200, RECORDED)).toMatchObject({ satisfied: true, unsatisfied: [] });
    const unsatisfied_requirements = [
      {
        ...{ type: 'failed-fetch-gating-yaml', testcase: 'failed-fetch-gating-yaml', scenario: null },
        ...{ sources: ['https://src.example.org/gating.yaml'], error: 'timed out\u001b[31m\n' },
      },
    ];
    expect(
      await ask(200, { ...RECORDED, policies_satisfied: false, unsatisfied_requirements }),
    ).toMatchObject({
      satisfied: false,
      unsatisfied: [{ text: 'failed-fetch-gating-yaml failed-fetch-gating-yaml - timed out\\u001b[31m\\n' }],
    });
  });

  test.each([
    [200, { ...RECORDED, policies_satisfied: 'true' }, /^unavailable: .*no decision: policies_satisfied: /],
    [200, { ...RECORDED, unsatisfied_requirements: undefined }, /no decision: unsatisfied_requirements: /],
    [200, '<html>a proxy says hello</html>', /^unavailable: .*no decision: the answer: /],
    [
      200,
      { ...RECORDED, unsatisfied_requirements: [{ type: 'test-result-failed', testcase: 'a.b' }] },
      /^refused: Greenwave contradicts itself: satisfied, and not a\.b failed$/,
    ],
    [200, { ...RECORDED, applicable_policies: [] }, /^refused: Greenwave: no policy applies/],
    [
      400,
      { message: 'Missing required product version' },
      /^refused: Greenwave: 400: Missing required product/,
    ],
    [
      404,
      { message: 'Found no applicable policies' },
      /^refused: .*404: Found no .*; is there a policy for this/,
    ],
    [502, { message: 'Error connecting to upstream server: x' }, /^unavailable: .*502: Error connecting/],
    [504, { message: 'Timeout connecting to upstream server: x' }, /^unavailable: .*504: Timeout/],
    [429, '', /^unavailable: /],
    [302, '', /^unavailable: /],
  ])('%i %j', async (status, body, told) => {
    expect(await ask(status, body)).toMatch(told);
  });

  test('that does not answer, or in time, is unavailable', async () => {
    const nobody = askGreenwave({ url: 'http://127.0.0.1:1', timeout: 5_000 }, ASKED);
    await expect(nobody).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('Greenwave 127.0.0.1:1: '),
    });
    const server = await greenwave([], []);
    const hasty = askGreenwave({ url: server.url, timeout: 1 }, ASKED);
    await expect(hasty).rejects.toBeInstanceOf(GreenwaveError);
    await server.close();
  });
});

describe('the fakes answer as their originals do', () => {
  const post = async (url: string, body: unknown, headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(url, { method: 'POST', body: text, headers });
    // biome-ignore lint/suspicious/noExplicitAny: what a test looks into
    return { status: response.status, body: (await response.json()) as any };
  };

  test('ResultsDB: the documented request and what it refuses', async () => {
    const db = await resultsdb({ token: 'x' });
    const url = `${db.url}/api/v2.0/results`;
    const data = { item: 'koschei-1.7.2-1.fc24', type: 'koji_build', arch: ['x86_64', 'noarch'] };
    const request = {
      outcome: 'PASSED',
      testcase: 'dist.rpmlint',
      groups: ['27f94e36'],
      note: '0 errors',
      data,
    };
    expect(await post(url, request)).toMatchObject({
      status: 201,
      body: {
        ...{ id: 1, outcome: 'PASSED', testcase: { name: 'dist.rpmlint' }, groups: ['27f94e36'] },
        data: { item: ['koschei-1.7.2-1.fc24'], type: ['koji_build'], arch: ['x86_64', 'noarch'] },
      },
    });
    expect(await post(url, { ...request, testcase: { name: '' } })).toMatchObject({ status: 400 });
    expect(await post(url, { ...request, outcome: undefined })).toMatchObject({ status: 400 });
    expect(await post(url, { ...request, data: { 'a:b': 1 } })).toMatchObject({ status: 400 });
    const v3 = `${db.url}/api/v3/results/brew-builds`;
    expect(await post(v3, request)).toMatchObject({ status: 401 });
    expect(await post(v3, request, { authorization: 'Bearer x' })).toMatchObject({ status: 400 });
    expect(db.results).toHaveLength(1);
    await db.close();
  });

  test('Greenwave: missing, incomplete, failed, errored and passed are different answers', async () => {
    const outcomes = ['PASSED', 'QUEUED', 'FAILED', 'ERROR', 'NEEDS_INSPECTION'];
    const results = outcomes.map((outcome, i) => ({
      ...{ id: i + 1, testcase: { name: TESTCASE }, outcome, note: null, ref_url: null, groups: [] },
      data: { item: [NEW], type: ['koji_build'], scenario: [outcome] },
    }));
    const wave = await greenwave([POLICY], results);
    const url = `${wave.url}/api/v1.0/decision`;
    const question = {
      ...{ product_version: 'rhel-9', decision_context: 'kernel_promotion' },
      ...{ subject_type: 'koji_build', subject_identifier: NEW },
    };
    const { status, body } = await post(url, question);
    expect(status).toBe(200);
    expect(body.satisfied_requirements.map((one: { scenario: string }) => one.scenario)).toEqual(['PASSED']);
    expect(
      body.unsatisfied_requirements.map(({ type, scenario }: { type: string; scenario: string }) => [
        scenario,
        type,
      ]),
    ).toEqual([
      ['QUEUED', 'test-result-missing'],
      ['FAILED', 'test-result-failed'],
      ['ERROR', 'test-result-errored'],
      ['NEEDS_INSPECTION', 'test-result-failed'],
    ]);
    const other = { ...question, subject_identifier: 'kernel-1-1' };
    expect((await post(url, other)).body).toMatchObject({
      policies_satisfied: false,
      unsatisfied_requirements: [{ type: 'test-result-missing', testcase: TESTCASE, scenario: null }],
    });
    expect(await post(url, 'no JSON')).toMatchObject({ status: 415 });
    expect(await post(url, { ...question, product_version: '' })).toMatchObject({ status: 400 });
    expect(await post(url, { ...question, product_version: 'rhel-8' })).toMatchObject({ status: 404 });
    await wave.close();
  });
});
