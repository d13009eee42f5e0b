import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as koji from '../../src/koji/calls.ts';
import type { Call } from '../../src/koji/hub.ts';
import { decodeCall, decodeResponse, encodeCall, Fault, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { encodeResponse } from '../../src/sim/replies.ts';

const recordings = new URL('../recordings/koji/', import.meta.url);
const files = readdirSync(recordings);

/** Request and reply of a recording, by its number. */
function recorded(number: string): { request: string; response: string } {
  const file = files.find((name) => name.startsWith(`${number}-`));
  if (file === undefined) throw new Error(`no recording ${number}`);
  return JSON.parse(readFileSync(new URL(file, recordings), 'utf8'));
}

/** What a call's schema makes of a recorded reply. */
const replyOf = <T>(call: Call<T>, number: string): T =>
  call.reply.parse(decodeResponse(recorded(number).response));
/** A call as the hub reads it. */
const sent = ({ method, params }: Call<unknown>) => decodeCall(encodeCall(method, params));

const srpm = (nvr: string, path: string) => `../packages/${path}/src/${nvr}.src.rpm`;
const bbswitch = srpm('kmod-bbswitch-0.8-1.el9', 'kmod-bbswitch/0.8/1.el9');
const fault: XmlValue = {
  faultCode: 1005,
  faultString:
    'error building package (arch x86_64), mock exited with status 1; see build.log or root.log for more information',
};

/** Calls with the arguments of a recording, and (part of) what they must make of its reply. */
const cases: [string, Call<unknown>, unknown][] = [
  ['002', koji.getKojiVersion(), '1.35.3'],
  [
    '003',
    koji.getBuild('kernel-6.1.170-47.el9'),
    { build_id: 2, nvr: 'kernel-6.1.170-47.el9', state: 1, epoch: null, draft: false },
  ],
  ['004', koji.getBuild('nope-1-1'), null],
  ['006', koji.getTag('c9s-gate'), { id: 2, name: 'c9s-gate', locked: false }],
  [
    '008',
    koji.getBuildTarget('kmods9s-gate'),
    { build_tag_name: 'kmods9s-build', dest_tag_name: 'kmods9s-gate-dest' },
  ],
  ['010', koji.listTagged('c9s-gate', { package: 'kernel' }), [{ build_id: 2, tag_name: 'c9s-gate' }]],
  ['012', koji.getLatestBuilds('c9s-gate', { package: 'kernel' }), [{ build_id: 2 }]],
  [
    '013',
    koji.listBuildRPMs(2),
    [{ name: 'kernel', arch: 'src' }, {}, { name: 'kernel-core', arch: 'x86_64', build_id: 2 }, {}, {}],
  ],
  [
    '015',
    koji.queryTagHistory(2),
    [{ 'tag.name': 'c9s-gate', active: true, creator_name: 'kojiadmin', revoke_ts: null }],
  ],
  [
    '016',
    koji.getFullInheritance('kmods9s-build'),
    [
      { name: 'c9s-gate', currdepth: 1 },
      { name: 'c9s-build', currdepth: 2 },
    ],
  ],
  [
    '023',
    koji.getTaskInfo(9, { request: true }),
    { method: 'build', state: 2, request: [expect.anything(), 'c9s-kernel', {}] },
  ],
  [
    '024',
    koji.getTaskDescendents(9),
    { 9: [{ id: 10, method: 'buildArch', label: 'x86_64' }, { id: 11 }], 10: [], 11: [] },
  ],
  ['027', koji.listTaskOutput(10), { 'build.log': { st_size: 435478 } }],
  ['031', koji.getLoggedInUser(), { id: 2, name: 'kmod-gate' }],
  ['032', koji.getPerms(), []],
  ['033', koji.hasPerm('admin'), false],
  ['035', koji.checkTagAccess('c9s-candidate'), { allowed: true, override: false, reason: '' }],
  ['036', koji.checkTagPackage('c9s-candidate', 'kernel'), true],
  ['037', koji.tagBuild('c9s-blocked', 2), 12],
  ['043', koji.repoRequest('kmods9s-build'), { repo: null, request: { id: 2, active: true, repo_id: null } }],
  ['044', koji.repoCheckRequest(2), { repo: null, request: { id: 2 } }],
  ['046', koji.createSideTag('c9s-build'), { id: 9, name: 'c9s-build-side-9' }],
  ['047', koji.listSideTags({ basetag: 'c9s-build' }), [{ id: 9, name: 'c9s-build-side-9' }]],
  [
    '056',
    koji.repoCheckRequest(3),
    { repo: { id: 3, create_event: 121, state: 1 }, request: { active: false, repo_id: 3 } },
  ],
  [
    '057',
    koji.listTagged('kmods9s-release', { latest: true, inherit: false }),
    expect.arrayContaining([expect.objectContaining({ name: 'kmod-acpi-call' })]),
  ],
  ['066', koji.getTaskResult(74), { rpms: ['tasks/77/77/kmod-bbswitch-0.8-1.el9.x86_64.rpm'] }],
  ['072', koji.getTaskResult(75), fault],
  [
    '081',
    koji.listTasks({ owner: 2, method: 'build', decode: true }, { order: '-id', limit: 10 }),
    expect.objectContaining({ 0: expect.objectContaining({ id: 76, state: 5 }) }),
  ],
  ['084', koji.listTags(21), [{ id: 4, name: 'c9s-blocked' }]],
  ['085', koji.untagBuild('c9s-blocked', 21), undefined],
  ['092', koji.build(bbswitch, 'kmods9s-build-side-11', { scratch: true, repo_id: 4 }, 5), 86],
  [
    '094',
    koji.getTaskDescendents(86, { request: true }),
    { 86: [{ id: 89, request: [bbswitch, 11, 'x86_64', true, { repo_id: 4 }] }] },
  ],
  ['095', koji.listBuildroots(89), [{ id: 26, task_id: 89, repo_id: 4, repo_create_event_id: 132 }]],
  ['096', koji.listRPMs({ componentBuildrootID: 26 }), []],
  ['103', koji.removeSideTag('kmods9s-build-side-11'), undefined],
  ['106', koji.listTagged('c9s-candidate', { package: 'kernel', latest: true }), [{ build_id: 22 }]],
  ['117', koji.getTaskInfo(109, { request: true }), { state: 0, start_ts: null, completion_ts: null }],
  ['118', koji.cancelTask(109), undefined],
];

describe('as recorded on a real hub', () => {
  test.each(cases)('%s: the request', (number, call) => {
    expect(sent(call)).toEqual(decodeCall(recorded(number).request));
  });

  test.each(cases)('%s: the reply', (number, call, expected) => {
    const reply = replyOf(call, number);
    if (typeof expected === 'object' && expected !== null) expect(reply).toMatchObject(expected);
    else expect(reply).toEqual(expected);
  });
});

test('a move names the tag that the build leaves', () => {
  expect(sent(koji.tagBuild('c9s-blocked', 21, { fromtag: 'c9s-gate' })).params).toEqual([
    'c9s-blocked',
    21,
    { fromtag: 'c9s-gate', __starstar: true },
  ]);
});

test('a time for listTasks travels as a double', () => {
  const { method, params } = koji.listTasks({ decode: true, createdAfter: 1795440000 });
  expect(encodeCall(method, params)).toContain('<double>1795440000</double>');
});

test('a log arrives as bytes', () => {
  const log = koji.downloadTaskOutput(77, 'build.log', { offset: -4000, size: 4000 });
  expect(sent(log)).toEqual(decodeCall(recorded('068').request));
  expect(Buffer.from(replyOf(log, '068')).toString()).toContain('Building module:\n');
  expect(log.reply.safeParse('not base64!').success).toBe(false);
});

test('build roots come oldest first', () => {
  const [root] = decodeResponse(recorded('095').response) as [{ id: number }];
  const { reply } = koji.listBuildroots(89);
  expect(
    reply
      .parse([
        { ...root, id: 9 },
        { ...root, id: 7 },
      ])
      .map(({ id }) => id),
  ).toEqual([7, 9]);
});

test('repo.request answers with a repo alone where there is one', () => {
  const { repo } = replyOf(koji.repoCheckRequest(3), '056');
  const { reply } = koji.repoRequest('kmods9s-build');
  expect(reply.parse({ repo, request: null, duplicate: false })).toEqual({ repo, request: null });
});

test('a folder of an rpm whose name is no UTF-8 comes as bytes from an old hub, and hides no other', () => {
  const DIRNAMES = ['/lib/modules/1/', Buffer.from('/usr/share/caf\xe9/', 'latin1')];
  const answer = decodeResponse(encodeResponse({ DIRNAMES, PROVIDENAME: ['a'] }));
  expect(koji.getRPMHeaders(1).reply.parse(answer)).toMatchObject({
    DIRNAMES: ['/lib/modules/1/', '/usr/share/caf\u00e9/'],
    PROVIDENAME: ['a'],
    REQUIREFLAGS: [],
  });
});

describe('faultIn', () => {
  test('finds the fault in the result of a failed task', () => {
    expect(koji.faultIn(replyOf(koji.getTaskResult(75), '072'))).toMatchObject({ code: 1005 });
  });

  test.each([null, 3, [], {}, { faultCode: 'x', faultString: 'y' }])('%j is none', (value) => {
    expect(koji.faultIn(value)).toBeUndefined();
  });

  test('a cancelled task has no result', () => {
    expect(() => replyOf(koji.getTaskResult(109), '120')).toThrow(Fault);
  });
});

describe('the mark of a build', () => {
  const task = (request: XmlValue[]) =>
    ({ ...replyOf(koji.getTaskInfo(9), '023'), request }) as koji.TaskInfo;
  const mark = { attempt: 'a1', store: 's1' };

  test('is found again in the task', () => {
    const call = koji.build(bbswitch, 'target', {
      scratch: true,
      custom_user_metadata: koji.markBuild(mark),
    });
    expect(koji.buildMark(task([...sent(call).params]))).toEqual(mark);
  });

  test.each([
    [[]],
    [['src', 'target', { scratch: true }]],
    [['src', 'target', { custom_user_metadata: { attempt: 'a1' } }]],
  ])('%j has none', (request) => {
    expect(koji.buildMark(task(request))).toBeUndefined();
  });
});
