/** What the gate asks of a hub. Nothing of it changes the hub; only sessions begin and end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { BUILD, type Gate, TASK } from '../../src/core/model.ts';
import { selectKmods } from '../../src/core/select.ts';
import { parseDependencies } from '../../src/kabi/rpm.ts';
import * as koji from '../../src/koji/calls.ts';
import { connectHub } from '../../src/koji/client.ts';
import { detectFeatures } from '../../src/koji/features.ts';
import { type Call, unwrap } from '../../src/koji/hub.ts';
import { kwargs } from '../../src/koji/xmlrpc.ts';
import { discover, orUndefined, type Things } from './discover.ts';
import { needing, type Subject } from './subject.ts';

/** Nobody has these. The id is the highest that the hub's database takes. */
const NO_TAG = 'kmod-gate-no-such-tag';
const NO_NVR = 'kmod-gate-no-such-build-0-0';
const NO_ID = 2 ** 31 - 1;

const noSuchMethod: Call<unknown> = { method: 'kmodGateNoSuchMethod', params: [], reply: z.unknown() };
const wrongParameters: Call<unknown> = {
  method: 'getTag',
  params: [kwargs({ kmodGateNoSuchParameter: 1 })],
  reply: z.unknown(),
};
const logout: Call<unknown> = { method: 'logout', params: [], reply: z.unknown() };

/** The reason of every test that nothing more special keeps from being made. */
const LACK = {
  gate: 'no gate: KMOD_GATE_HUB_CONFIG names none',
  login: 'no login: authtype is "noauth"',
  kernel: 'the hub has no complete kernel in a tag',
  target: 'none of the newest builds of the hub was for a target',
  buildArch: 'none of the newest builds of the hub has left its files',
};

/** Declare the tests that only read. */
export function reading(subject: Subject): void {
  const { koji: settings, gate } = subject;
  const need = needing(subject);
  const hub = connectHub(settings);
  let things: Things;
  beforeAll(async () => {
    things = await discover(hub, gate);
  });
  afterAll(() => hub.close());

  describe('the hub', () => {
    test('says its version', async () => {
      expect(await hub.read(koji.getKojiVersion())).toMatch(/^\d+\.\d+/);
    });

    test('says what it can do', async () => {
      const { version, ...able } = await detectFeatures(hub);
      expect(version === null || /^\d+\.\d+/.test(version)).toBe(true);
      expect(Object.values(able).every((is) => typeof is === 'boolean')).toBe(true);
    });

    test('answers calls without a session side by side', async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => hub.read(koji.getKojiVersion())));
      expect(new Set(answers).size).toBe(1);
    });

    test('answers a group of calls, in which one that fails does not fail the others', async () => {
      const [before, refused, after] = await hub.readAll([
        koji.getKojiVersion(),
        koji.getTag(NO_TAG),
        koji.getBuild(NO_NVR),
      ]);
      expect(before).toMatchObject({ ok: true });
      expect(refused).toMatchObject({ ok: false, error: { kind: 'refused', code: 1000 } });
      expect(after).toEqual({ ok: true, value: null });
    });

    test('refuses a method that it does not have', async () => {
      const refusal = { kind: 'refused', message: expect.stringContaining('Invalid method') };
      await expect(hub.read(noSuchMethod)).rejects.toMatchObject(refusal);
    });

    test('refuses parameters that a method does not have', async () => {
      await expect(hub.read(wrongParameters)).rejects.toMatchObject({ kind: 'refused' });
    });

    test('refuses to change anything without a login', async () => {
      const change = hub.read(koji.untagBuild(NO_TAG, NO_ID));
      await expect(change).rejects.toMatchObject({ kind: 'refused', code: 1004 });
    });
  });

  describe('builds and tags', () => {
    test('a kernel is found by its id and by its NVR', async ({ skip }) => {
      const kernel = need(skip, things.kernel, LACK.kernel);
      const byId = await hub.read(koji.getBuild(kernel.build_id));
      expect(byId).toMatchObject({ nvr: kernel.nvr, state: BUILD.COMPLETE });
      expect(await hub.read(koji.getBuild(kernel.nvr))).toEqual(byId);
    });

    test('a build that is not there is null', async () => {
      expect(await hub.read(koji.getBuild(NO_ID))).toBeNull();
      expect(await hub.read(koji.getBuild(NO_NVR))).toBeNull();
    });

    test.each<[string, Call<unknown>]>([
      ['tag', koji.getTag(NO_TAG)],
      ['target', koji.getBuildTarget(NO_TAG)],
    ])('a %s that is not there is refused', async (_, call) => {
      await expect(hub.read(call)).rejects.toMatchObject({ kind: 'refused', code: 1000 });
    });

    test('the tags that a kernel is in, and the tag says the same', async ({ skip }) => {
      const kernel = need(skip, things.kernel, LACK.kernel);
      const tags = await hub.read(koji.listTags(kernel.build_id));
      const tag = await hub.read(koji.getTag(kernel.tag_name));
      expect(tags).toContainEqual(tag);
    });

    test('the builds in a tag: all of a package, or its latest alone, of parents too', async ({ skip }) => {
      const { name, tag_name, build_id } = need(skip, things.kernel, LACK.kernel);
      const [all, latest, inherited] = await hub.readAll([
        koji.listTagged(tag_name, { package: name }),
        koji.listTagged(tag_name, { package: name, latest: true }),
        koji.listTagged(tag_name, { package: name, latest: true, inherit: true }),
      ]);
      expect(unwrap(all)).toContainEqual(expect.objectContaining({ build_id, tag_name }));
      expect(unwrap(latest)).toEqual(unwrap(all).slice(0, 1));
      expect(unwrap(inherited)).toEqual(unwrap(latest));
    });

    test('the latest kernel of a tag is what was tagged last, now and at an event of the past', async ({
      skip,
    }) => {
      const kernel = need(skip, things.kernel, LACK.kernel);
      const { name, tag_name, create_event: event } = kernel;
      const [now, then] = await hub.readAll([
        koji.getLatestBuilds(tag_name, { package: name }),
        koji.getLatestBuilds(tag_name, { package: name, event }),
      ]);
      expect(unwrap(now)).toEqual(await hub.read(koji.listTagged(tag_name, { package: name, latest: true })));
      expect(unwrap(then)).toEqual([expect.objectContaining({ build_id: kernel.build_id })]);
    });

    test('the history of a kernel has its entry into the tag', async ({ skip }) => {
      const { build_id, tag_name, create_event } = need(skip, things.kernel, LACK.kernel);
      const history = await hub.read(koji.queryTagHistory(build_id));
      const entry = { build_id, 'tag.name': tag_name, create_event, active: true, revoke_event: null };
      expect(history).toContainEqual(expect.objectContaining(entry));
    });

    test('the rpms of a kernel', async ({ skip }) => {
      const { build_id } = need(skip, things.kernel, LACK.kernel);
      const rpms = await hub.read(koji.listBuildRPMs(build_id));
      expect(rpms).not.toEqual([]);
      expect(new Set(rpms.map((rpm) => rpm.build_id))).toEqual(new Set([build_id]));
    });

    test('the symbols that a kernel provides, from the header of its core rpm', async ({ skip }) => {
      const { build_id, name } = need(skip, things.kernel, LACK.kernel);
      const rpms = await hub.read(koji.listBuildRPMs(build_id));
      const core = need(
        skip,
        rpms.find((rpm) => rpm.name === `${name}-core`),
        `the kernel has no rpm ${name}-core`,
      );
      const headers = await hub.read(koji.getRPMHeaders(core.id));
      const { PROVIDENAME: names, PROVIDEVERSION: versions, DIRNAMES: folders } = headers;
      expect(versions).toHaveLength(names.length);
      expect(folders.filter((folder) => !/^\/(.*\/)?$/.test(folder))).toEqual([]);
      const symbols = parseDependencies({ names, versions });
      need(skip, symbols[0], 'the kernel provides no kernel(SYMBOL): only "rebuild" will do');
      expect(symbols.every(({ from }) => from !== 'kmod')).toBe(true);
    });

    test('a target has its two tags, and the build tag its ancestors', async ({ skip }) => {
      const target = need(skip, things.target, LACK.target);
      const { build_tag, build_tag_name, dest_tag, dest_tag_name } = target;
      expect(await hub.read(koji.getTag(build_tag_name))).toMatchObject({ id: build_tag });
      expect(await hub.read(koji.getTag(dest_tag_name))).toMatchObject({ id: dest_tag });
      const ancestors = await hub.read(koji.getFullInheritance(build_tag_name));
      const family = [build_tag, ...ancestors.map(({ parent_id }) => parent_id)];
      expect(ancestors.filter(({ child_id }) => !family.includes(child_id))).toEqual([]);
    });
  });

  test('an event by its number', async ({ skip }) => {
    const { create_event: id } = need(skip, things.kernel, LACK.kernel);
    const [there, none] = await hub.readAll([koji.getEvent(id), koji.getEvent(NO_ID)]);
    expect(unwrap(there)).toMatchObject({ id });
    expect(unwrap(none)).toBeNull();
  });

  test('a build tag as builds take it, with the macros that it sets', async ({ skip }) => {
    const { build_tag, build_tag_name } = need(skip, things.target, LACK.target);
    const config = await hub.read(koji.getBuildConfig(build_tag_name));
    expect(config).toMatchObject({ id: build_tag, name: build_tag_name, extra: expect.any(Object) });
    const dist = config.extra['rpm.macro.dist'];
    if (dist !== undefined) expect(dist).toBeTypeOf('string');
  });

  describe('the gate', () => {
    test('its kmods are rebuilt from version control, or from a source rpm that is there', async ({
      skip,
    }) => {
      const here = need(skip, gate, LACK.gate);
      const kmods = selectKmods(here, await hub.read(koji.listTagged(here.kmods.tag, { latest: true })));
      const builds = await hub.readAll(kmods.map(({ buildId }) => koji.getBuild(buildId)));
      for (const build of builds.map(unwrap)) {
        const isRpm = build?.source?.endsWith('.src.rpm') ?? true;
        expect(build && (isRpm ? undefined : build.source)).toBe(build && koji.scmOf(build));
      }
    });

    test('its tags are there', async ({ skip }) => {
      const names = tagsOf(need(skip, gate, LACK.gate));
      const tags = await hub.readAll(names.map(koji.getTag));
      expect(tags.map((tag) => unwrap(tag).name)).toEqual(names);
    });

    test('its target builds where a kernel in the watch tag is seen', async ({ skip }) => {
      const { watch, build } = need(skip, gate, LACK.gate);
      if (!build) return skip('the gate judges by symbols alone, and builds nothing');
      const { build_tag_name } = await hub.read(koji.getBuildTarget(build.target));
      const ancestors = await hub.read(koji.getFullInheritance(build_tag_name));
      expect([build_tag_name, ...ancestors.map(({ name }) => name)]).toContain(watch);
    });

    test('it has kmods to try, each with a source rpm', async ({ skip }) => {
      const here = need(skip, gate, LACK.gate);
      const kmods = selectKmods(here, await hub.read(koji.listTagged(here.kmods.tag, { latest: true })));
      const { tag, include } = here.kmods;
      const lack = `no build in ${tag} is a kmod of the gate (include = ${include.join(', ')}): koji tag-build ${tag} KMOD, or see [gate.kmods]`;
      expect(kmods, lack).not.toEqual([]);
      const rpms = await hub.readAll(kmods.map(({ buildId }) => koji.listBuildRPMs(buildId)));
      const without = kmods.filter((_, i) => !unwrap(rpms[i]).some(({ arch }) => arch === 'src'));
      expect(without).toEqual([]);
    });
  });

  describe('builds that are over', () => {
    test('a task with its request: source, target, options', async ({ skip }) => {
      const task = need(skip, things.closed, 'the hub has no closed build task');
      const info = await hub.read(koji.getTaskInfo(task.id, { request: true }));
      expect(info).toMatchObject({ id: task.id, method: 'build', state: TASK.CLOSED });
      expect(info?.request).toEqual(task.request);
    });

    test('a task that is not there is null', async () => {
      expect(await hub.read(koji.getTaskInfo(NO_ID))).toBeNull();
    });

    test('the tasks below a build, one for each architecture', async ({ skip }) => {
      const { parent, id, arch } = need(skip, things.buildArch, LACK.buildArch);
      const below = await hub.read(koji.getTaskDescendents(parent ?? 0));
      const found = below[String(parent)]?.find((child) => child.id === id);
      expect(found).toMatchObject({ method: 'buildArch', parent, arch });
      expect(below[String(id)]).toEqual([]);
    });

    test('a closed one has a result', async ({ skip }) => {
      const task = need(skip, things.closed, 'the hub has no closed build task');
      expect(koji.faultIn(await hub.read(koji.getTaskResult(task.id)))).toBeUndefined();
    });

    test('a failed one has the fault that it failed with', async ({ skip }) => {
      const task = need(skip, things.failed, 'the hub has no failed build task');
      const fault = koji.faultIn(await hub.read(koji.getTaskResult(task.id)));
      expect(fault).toEqual({ code: expect.any(Number), text: expect.stringMatching(/./) });
    });

    test('a cancelled one has no result', async ({ skip }) => {
      const task = need(skip, things.canceled, 'the hub has no cancelled build task');
      const refusal = { kind: 'refused', code: 1000, message: expect.stringContaining('is canceled') };
      await expect(hub.read(koji.getTaskResult(task.id))).rejects.toMatchObject(refusal);
    });

    test('a file of a task, in three pieces, is the whole file', async ({ skip }) => {
      const { id } = need(skip, things.buildArch, LACK.buildArch);
      const [name, size] = smallest(await hub.read(koji.listTaskOutput(id)));
      const read = (offset: number, length: number) =>
        hub.read(koji.downloadTaskOutput(id, name, { offset, size: length }));
      const third = Math.ceil(size / 3);
      const pieces = await Promise.all([0, 1, 2].map((i) => read(i * third, third)));
      const whole = await read(0, size);
      expect(whole).toHaveLength(size);
      expect(Buffer.concat(pieces).equals(whole)).toBe(true);
    });

    test('the build root of a build, and the rpms that it held', async ({ skip }) => {
      const { id } = need(skip, things.buildArch, LACK.buildArch);
      const [first] = await hub.read(koji.listBuildroots(id));
      const root = need(skip, first, 'the hub recorded no build root of its newest build');
      expect(root).toMatchObject({ task_id: id });
      const rpms = await hub.read(koji.listRPMs({ componentBuildrootID: root.id }));
      need(skip, rpms[0], 'the hub recorded no content of its newest build roots: the gate looks at repos');
      expect(rpms.every(({ nvr, name }) => nvr.startsWith(`${name}-`))).toBe(true);
    });

    test("somebody's builds: the newest first and no more than asked for, or those since a moment", async ({
      skip,
    }) => {
      const { id, owner, create_ts } = need(skip, things.closed, 'the hub has no closed build task');
      const own = { owner: need(skip, owner ?? undefined, 'the newest build task has no owner') };
      const newest = await hub.read(
        koji.listTasks({ ...own, method: 'build', decode: true }, { order: '-id', limit: 2 }),
      );
      const ids = newest.map((task) => task.id);
      expect(ids).toEqual(ids.toSorted((a, b) => b - a).slice(0, 2));
      expect(new Set(newest.map((task) => task.owner))).toEqual(new Set([owner]));
      const since = await hub.read(
        koji.listTasks(
          { ...own, method: 'build', decode: true, createdAfter: create_ts - 1 },
          { order: 'id', limit: 20 },
        ),
      );
      expect(since.map((task) => task.id)).toContain(id);
      expect(since.filter((task) => task.create_ts <= create_ts - 1)).toEqual([]);
    });
  });

  describe('repos and side tags', () => {
    test('the repo of a build tag', async ({ skip }) => {
      const { build_tag_name } = need(skip, things.target, LACK.target);
      const found = await hub.read(koji.getRepo(build_tag_name));
      const repo = need(skip, found ?? undefined, `${build_tag_name} has no repo that is ready`);
      expect(repo).toMatchObject({ state: 1, create_event: expect.any(Number) });
    });

    test('the ready repos of a build tag, the newest first, for whoever asks', async ({ skip }) => {
      const { build_tag, build_tag_name } = need(skip, things.target, LACK.target);
      const [ready] = await hub.readAll([koji.readyRepos(build_tag, 3)]);
      const repos = need(skip, orUndefined(ready), 'the hub lists no repos (Koji 1.35 does)');
      const newest = await hub.read(koji.getRepo(build_tag_name));
      expect(repos.map(({ state }) => state)).toEqual(repos.map(() => 1));
      // By when it was made that is the newest; one of the past may be.
      expect(repos[0]?.create_event ?? 0).toBeGreaterThanOrEqual(newest?.create_event ?? 0);
      const events = repos.map(({ create_event }) => create_event);
      expect(events).toEqual(events.toSorted((a, b) => b - a));
    });

    test('a repo, and the target, as they were at an event of the past', async ({ skip }) => {
      const target = need(skip, things.target, LACK.target);
      const found = await hub.read(koji.getRepo(target.build_tag_name));
      const repo = need(skip, found ?? undefined, `${target.build_tag_name} has no repo that is ready`);
      const past = await hub.read(koji.getRepo(target.build_tag_name, repo.create_event));
      expect(past?.create_event).toBeLessThanOrEqual(repo.create_event);
      expect(await hub.read(koji.buildTargetAt(target.name, repo.create_event))).toEqual(target);
      expect(await hub.read(koji.buildTargetAt(NO_TAG, repo.create_event))).toBeNull();
    });

    test('how a request for a repo stands', async ({ skip }) => {
      const id = need(skip, things.repoRequest, 'the hub has no request for a repo (Koji 1.35 has them)');
      const { request, repo } = await hub.read(koji.repoCheckRequest(id));
      expect(request).toMatchObject({ id, repo_id: repo?.id ?? null });
    });

    test('side tags', async ({ skip }) => {
      const [answer] = await hub.readAll([koji.listSideTags()]);
      if (answer.ok === false && /Invalid method/.test(answer.error.message)) {
        skip('the hub has no sidetag plugin: repo = "sidetag" will not do');
      }
      const sideTag = need(skip, unwrap(answer)[0], 'the hub has no side tag now');
      expect(await hub.read(koji.getTag(sideTag.name))).toMatchObject({ id: sideTag.id });
    });
  });

  describe('a session', () => {
    const login = settings.authtype === 'noauth' ? undefined : settings;

    test('is that of the user who logged in', async ({ skip }) => {
      const { authtype, user } = need(skip, login, LACK.login);
      const me = await hub.write(koji.getLoggedInUser());
      expect(me).toMatchObject({ name: authtype === 'password' ? user : expect.any(String) });
      expect(await hub.read(koji.getLoggedInUser())).toBeNull();
    });

    test("tells the user's permissions", async ({ skip }) => {
      need(skip, login, LACK.login);
      expect(await hub.write(koji.hasPerm('admin'))).toBeTypeOf('boolean');
      expect(await hub.read(koji.hasPerm('admin'))).toBe(false);
    });

    test('tells whether a tag is open to the user, and lists a package', async ({ skip }) => {
      need(skip, login, LACK.login);
      const { name, tag_name } = need(skip, things.kernel, LACK.kernel);
      const access = await hub.write(koji.checkTagAccess(tag_name));
      expect(access).toMatchObject({ allowed: expect.any(Boolean), reason: expect.any(String) });
      expect(await hub.write(koji.checkTagPackage(tag_name, name))).toBe(true);
      expect(await hub.write(koji.checkTagPackage(tag_name, NO_TAG))).toBe(false);
    });

    test('carries out calls in their order, alone and in groups', async ({ skip }) => {
      need(skip, login, LACK.login);
      const [before, group, after] = await Promise.all([
        hub.write(koji.getLoggedInUser()),
        hub.writeAll([koji.hasPerm('admin'), koji.getLoggedInUser()]),
        hub.write(koji.getLoggedInUser()),
      ]);
      expect([unwrap(group[1]), after]).toEqual([before, before]);
    });

    test('that was ended elsewhere is replaced by a new one', async ({ skip }) => {
      need(skip, login, LACK.login);
      const before = await hub.write(koji.getLoggedInUser());
      await hub.write(logout);
      expect(await hub.write(koji.getLoggedInUser())).toEqual(before);
    });

    test('lists the side tags of its user', async ({ skip }) => {
      need(skip, login, LACK.login);
      const me = await hub.write(koji.getLoggedInUser());
      const [own] = await hub.readAll([koji.listSideTags({ user: me?.id ?? 0 })]);
      need(skip, orUndefined(own)?.[0], 'the user has no side tag now');
      expect(await hub.read(koji.listSideTags())).toEqual(expect.arrayContaining([...unwrap(own)]));
    });
  });
}

/** All tags that a gate names. */
function tagsOf({ watch, kmods, on_pass, on_fail }: Gate): string[] {
  const ends = [on_pass, on_fail].flatMap(({ tag, untag }) => [...tag, ...untag]);
  return [...new Set([watch, kmods.tag, ...ends])];
}

/** The smallest file that is not empty, and its size. */
function smallest(files: Readonly<Record<string, koji.FileStat>>): [string, number] {
  const sizes = Object.entries(files).map(([name, { st_size }]): [string, number] => [name, st_size]);
  const [first] = sizes.filter(([, size]) => size > 0).sort(([, a], [, b]) => a - b);
  if (!first) throw new Error('the files of the task are all empty');
  return first;
}
