import { describe, expect, test } from 'vitest';
import { type KernelBuild, TASK } from '../../src/core/model.ts';
import { type Call, type Hub, HubError } from '../../src/koji/hub.ts';
import { readEvidence } from '../../src/reconciler/evidence.ts';

const KERNEL: KernelBuild = {
  id: 1,
  nvr: 'kernel-1-1',
  name: 'kernel',
  epoch: null,
  version: '1',
  release: '1',
};
const PIECE = 512 * 1024;

/** A hub with one failed build of one architecture, and what was downloaded from it. */
function hubWith(
  files: Record<string, string>,
  fault: { code: number; text: string },
  refused: { method?: string; error?: HubError } = {},
) {
  const bytes = new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)]));
  const downloads: string[] = [];
  const child = { id: 8, method: 'buildArch', state: TASK.FAILED, label: 'x86_64', arch: 'x86_64' };
  const answer = ({ method, params }: Call<unknown>): unknown => {
    if (method === 'getTaskDescendents') return { 7: [child] };
    if (method === 'getTaskResult') return { faultCode: fault.code, faultString: fault.text };
    if (method === 'listTaskOutput')
      return Object.fromEntries([...bytes].map(([name, { length }]) => [name, { st_size: length }]));
    if (method !== 'downloadTaskOutput') return [];
    const [, name, { offset, size }] = params as [number, string, { offset: number; size: number }];
    downloads.push(`${name} ${offset / PIECE}+${(size / PIECE).toFixed(1)}`);
    return bytes.get(name)?.subarray(offset, offset + size);
  };
  const hub = {
    read: async (call: Call<unknown>) => answer(call),
    readAll: async (calls: readonly Call<unknown>[]) =>
      calls.map((call) =>
        call.method === refused.method
          ? { ok: false, error: refused.error }
          : { ok: true, value: answer(call) },
      ),
  } as unknown as Hub;
  const errors = async () => {
    const evidence = await readEvidence(hub, KERNEL, { id: 7, state: TASK.FAILED });
    return evidence?.arches[0]?.errors.map(({ kind, message }) => `${kind} ${message}`);
  };
  return { errors, downloads, hub };
}

const mock = (status: number) => ({
  code: 1005,
  text: `error building package, mock exited with status ${status}`,
});
const ERRORS = Array.from({ length: 5 }, (_, i) => `a.c:${i + 1}:1: error: e${i}\n`).join('');
const MISSING = "DEBUG util.py:461:  No matching package to install: 'x'\n";
/** Lines of 32 bytes, so that a piece ends with one. */
const lines = (pieces: number) =>
  '+ exit 0, says a shell of its end\n'.slice(-32).repeat((pieces * PIECE) / 32);

describe('the logs of a failed build', () => {
  test.each([
    ['a package that does not compile', mock(1), { 'build.log': ERRORS }, 'source e0', ['build.log 0+0.0']],
    [
      'status 10: the same',
      mock(10),
      { 'build.log': ERRORS, 'root.log': MISSING },
      'source e0',
      ['build.log 0+0.0'],
    ],
    [
      'status 30: root.log alone',
      mock(30),
      { 'build.log': ERRORS, 'root.log': MISSING },
      "dependency No matching package to install: 'x'",
      ['root.log 0+0.0'],
    ],
    [
      'status 20: the same',
      mock(20),
      { 'root.log': MISSING },
      "dependency No matching package to install: 'x'",
      ['root.log 0+0.0'],
    ],
    [
      'fault 1012: the same',
      { code: 1012, text: 'could not init mock buildroot' },
      { 'build.log': ERRORS, 'root.log': MISSING },
      "dependency No matching package to install: 'x'",
      ['root.log 0+0.0'],
    ],
    [
      'no build.log',
      mock(1),
      { 'root.log': MISSING },
      "dependency No matching package to install: 'x'",
      ['root.log 0+0.0'],
    ],
    [
      'a build.log without an error',
      mock(1),
      { 'build.log': 'Building\n', 'root.log': MISSING },
      "dependency No matching package to install: 'x'",
      ['build.log 0+0.0', 'root.log 0+0.0'],
    ],
    ['no log at all', mock(1), {}, undefined, []],
    [
      'errors at once: the rest is not read',
      mock(1),
      { 'build.log': ERRORS + lines(40) },
      'source e0',
      ['build.log 0+1.0'],
    ],
    [
      'an error in the second piece: no third',
      mock(1),
      { 'build.log': lines(1.99) + ERRORS + lines(3) },
      'source e0',
      ['build.log 0+1.0', 'build.log 1+1.0'],
    ],
    [
      'of a long root.log its end',
      mock(30),
      { 'root.log': lines(3) + MISSING },
      "dependency No matching package to install: 'x'",
      undefined,
    ],
  ])('%s', async (_, fault, files, first, downloads) => {
    const hub = hubWith(files, fault);
    expect((await hub.errors())?.[0]).toBe(first);
    if (downloads) expect(hub.downloads).toEqual(downloads);
    else expect(hub.downloads).toHaveLength(1);
  });

  test('of a huge build.log the beginning and the end count, and no half line between', async () => {
    const last = 'a.c:1:1: error: last\n';
    const end = `c:2:1: error: half\n${lines(1)}`.slice(0, PIECE - last.length - 1);
    const hub = hubWith({ 'build.log': `${lines(20)}#define A a.${end}\n${last}` }, mock(1));
    expect(await hub.errors()).toEqual(['source last']);
    expect(hub.downloads).toHaveLength(16);
  });

  test('a letter that two pieces share stays whole', async () => {
    const error = 'a.c:1:1: error: ‘x’ undeclared\n';
    const filler = 'x'.repeat(PIECE - Buffer.byteLength('\na.c:1:1: error: ') - 1);
    const hub = hubWith({ 'build.log': `${filler}\n${error}` }, mock(1));
    expect(await hub.errors()).toEqual(['source ‘x’ undeclared']);
  });
});

describe('what the hub refuses to tell', () => {
  const read = (error: HubError) => {
    const { hub } = hubWith({}, mock(1), { method: 'listBuildroots', error });
    return readEvidence(hub, KERNEL, { id: 7, state: TASK.FAILED });
  };
  const refusal = (options: { code?: number; cause?: unknown }) =>
    new HubError('refused', 'listBuildroots', 'no', options);

  test('that there is none is evidence', async () => {
    const evidence = await read(refusal({ code: 1000 }));
    expect(evidence?.arches[0]?.buildroot).toBeNull();
  });

  test.each([
    ['a policy', { code: 1004 }],
    ["a plugin's error", { code: 1016 }],
    ['a proxy', { cause: new Error('HTTP 403') }],
  ])('%s says nothing: it is asked again', async (_, options) => {
    await expect(read(refusal(options))).rejects.toThrow('no');
  });
});

test.each([
  ['kernel = 1-2', 'kernel'],
  ['(kernel = 1-2 with kernel < 2)', 'kernel'],
  ['(foo-headers or kernel-uname-r = 1-2)', 'kernel'],
  ['/lib/modules/1-2/build', 'kernel'],
  ['/usr/lib/modules/1-2/build', 'kernel'],
  ['/usr/src/kernels/1-2', 'kernel'],
  ['/usr/lib/firmware', 'dependency'],
  ['(foo-headers or bar)', 'dependency'],
])('whether %s is of the kernel: %s', async (wanted, kind) => {
  const log = MISSING.replace("'x'", `'${wanted}'`);
  const { errors } = hubWith({ 'root.log': log }, { code: 1012, text: 'no root' });
  expect(await errors()).toEqual([expect.stringMatching(new RegExp(`^${kind} `))]);
});

// FINDINGS, G: any refusal of the call was taken for the task's own fault.
test('what the hub refuses to tell is no fault of a failed task', async () => {
  const error = new HubError('refused', 'getTaskResult', 'policy violation');
  const { hub } = hubWith({}, mock(1), { method: 'getTaskResult', error });
  await expect(readEvidence(hub, KERNEL, { id: 7, state: TASK.FAILED })).rejects.toThrow('policy violation');
});

test("beside this kernel's devel package, one of another package is left out, and one of another build of it is not", async () => {
  const child = { id: 8, method: 'buildArch', state: TASK.CLOSED, label: 'x86_64', arch: 'x86_64' };
  const root = { id: 5, tag_name: 'try-build', repo_id: 3, repo_create_event_id: 4 };
  const rpm = (build_id: number, name: string) => ({ name, nvr: `${name}-1-${build_id}`, build_id });
  const rpms = [rpm(1, 'kernel-devel'), rpm(2, 'kernel-64k-devel'), rpm(3, 'kernel-rt-devel')];
  const answer = ({ method, params }: Call<unknown>): unknown => {
    if (method === 'getTaskDescendents') return { 7: [child] };
    if (method === 'listBuildroots') return [root];
    if (method === 'listRPMs') return rpms;
    if (method === 'getBuild') return { name: params[0] === 3 ? 'kernel-rt' : 'kernel' };
    return method === 'getTaskResult' ? {} : [];
  };
  const hub = {
    readAll: async (calls: readonly Call<unknown>[]) =>
      calls.map((call) => ({ ok: true, value: answer(call) })),
  } as unknown as Hub;
  const evidence = await readEvidence(hub, KERNEL, { id: 7, state: TASK.CLOSED });
  expect(evidence?.arches[0]?.buildroot).toEqual([
    { id: 1, nvr: 'kernel-devel-1-1' },
    { id: 2, nvr: 'kernel-64k-devel-1-2' },
  ]);
});
