/** What doctor says of a hub and of gates: of a healthy one, and of each way in which one is not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../../src/commands/doctor/check.ts';
import { doctor } from '../../src/commands/doctor.ts';
import { type BuildEvidence, TASK, type Write } from '../../src/core/model.ts';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import { arch } from '../core/facts.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { type Authority, createAuthority, httpd, startHttpd, VERIFIED } from '../servers/httpd.ts';
import {
  ADMIN,
  closeHubs,
  configFor,
  linesOf,
  type SetUp,
  withKojira,
  withTag,
  wrongs,
} from './doctor-setup.ts';

afterEach(closeHubs);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const repo = (name: 'pin' | 'sidetag') => ({ build: { ...GATE.build, repo: name } });

/** Three newRepo tasks of the build tag, one after the other. */
function regenerate(world: World): void {
  for (let i = 0; i < 3; i += 1) {
    world.as('kojiadmin').call('newRepo', 'kmods9s-build');
    world.tick(2 * MINUTE);
  }
}

/** A kernel comes into the watch tag some time after the repo was made. */
function completeAfter(world: World, ms: number): void {
  world.tick(ms);
  world.completeKernel(NEW, { tag: 'c9s-gate' });
}

describe('a healthy set-up', () => {
  test('has nothing wrong, and what cannot be told is said', async () => {
    const lines = await linesOf({});
    expect(lines.filter((line) => line.startsWith('wrong'))).toEqual([]);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^ok hub: Koji 1\.35\.3 at http/),
        'info hub: repos are made when asked for (repo.request)',
        'info hub: side tags (the sidetag plugin)',
        'ok hub: both clocks agree',
        'ok hub: logged in as kmod-gate',
        "info hub: kmod-gate has no permissions of its own: the hub's policies decide",
        'ok hub: builders for repos (channel createrepo): 2 of 2 ready',
        'ok gate c9s: tag c9s-candidate',
        'ok gate c9s: target kmods9s-gate builds in kmods9s-build, which inherits from c9s-gate',
        'ok gate c9s: package kernel is listed in kmods9s-build',
        'ok gate c9s: baseline: kernel-6.1.170-47.el9, the newest in c9s-candidate',
        'ok gate c9s: 3 kmods in kmods9s-release: kmod-alpha, kmod-beta, kmod-gamma',
        expect.stringMatching(
          /^unsure gate c9s: whether it may move the kernel from c9s-gate to c9s-blocked \| .*"user kmod-gate && package kernel && tag c9s-blocked :: allow"/,
        ),
        expect.stringMatching(/^unsure gate c9s: whether it may make scratch builds in kmods9s-gate \| /),
        'ok gate c9s: builders for x86_64: 2 of 2 ready',
        expect.stringMatching(/^ok gate c9s: newest repo of kmods9s-build is 1, made 20/),
        expect.stringMatching(/^ok gate c9s: a newRepo task of kmods9s-build ended well 20.*: task \d+$/),
        expect.stringMatching(/^info bus: none is configured \| /),
      ]),
    );
  });

  test('of an admin needs the policies too: only a call that says force passes them', async () => {
    for (const mode of ['pin', 'sidetag'] as const) {
      const lines = await linesOf({
        koji: ADMIN,
        gate: { build: { ...GATE.build, repo: mode, priority: -5 } },
      });
      expect(lines).toContain('ok gate c9s: build.priority is -5: kojiadmin is an admin');
      expect(lines.filter((line) => /^ok gate c9s: may /.test(line))).toEqual([]);
      expect(lines).toContainEqual(
        expect.stringMatching(
          /^unsure gate c9s: whether it may move the kernel from c9s-gate to c9s-blocked; policies bind admins too \| .*"user kojiadmin && package kernel && tag c9s-blocked :: allow"/,
        ),
      );
      const wanted = mode === 'pin' ? 'name the repo that a build uses' : 'create side tags of kmods9s-build';
      expect(lines).toContainEqual(expect.stringContaining(`unsure gate c9s: whether it may ${wanted}`));
    }
  });

  test('that only observes needs no access to tags', async () => {
    const lines = await linesOf({
      gate: { mode: 'observe', on_fail: { tag: ['c9s-frozen'], untag: ['c9s-gate'] } },
    });
    expect(lines).toContain('info gate c9s: observe mode: no tag is changed');
    expect(lines).toContain(
      'ok gate c9s: tag c9s-frozen; it is locked, which does no harm: the gate only reads it',
    );
    expect(lines.join('\n')).not.toMatch(/move the kernel|^wrong/m);
  });

  test('may have its kmods in a locked tag, and list them nowhere: scratch builds go into no tag', async () => {
    const locked = withTag('kmods9s-release', { locked: true });
    const unlisted = withTag('kmods9s-gate-dest', { packages: [], blocked: ['kmod-alpha'], locked: true });
    expect(await wrongs({ scenario: (small) => locked(unlisted(small)) })).toEqual([]);
  });

  test('may inherit its architectures', async () => {
    const lines = await linesOf({ scenario: withTag('kmods9s-build', { arches: [] }) });
    expect(lines).toContain('ok gate c9s: builders for x86_64: 2 of 2 ready');
  });

  test('of before Koji 1.35 has a current repo', async () => {
    const lines = await linesOf({ scenario: withKojira });
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^ok gate c9s: newest repo of kmods9s-build is 1, .* the tag has not changed since$/,
      ),
    );
  });
});

describe('a baseline and a rebuild', () => {
  const about = async (setUp: SetUp) =>
    (await linesOf(setUp)).filter((line) => /gate c9s: (baseline|no kernel|rebuild)/.test(line));
  test('that are configured and there are fine', async () => {
    const rebuild = { target: 'kmods9s-gate', draft: true };
    expect(
      await about({
        gate: { baseline: 'kernel-6.1.170-47.el9', rebuild, on_pass: { tag: ['c9s-gate'], untag: [] } },
      }),
    ).toEqual([
      'ok gate c9s: baseline kernel-6.1.170-47.el9',
      'ok gate c9s: rebuild target kmods9s-gate builds in kmods9s-build, which sees c9s-gate',
    ]);
  });
  test.each<[string, SetUp['gate'], RegExp]>([
    [
      'a baseline that nobody knows',
      { baseline: 'kernel-1-1' },
      /^wrong .* is no build that the hub knows \| mend/,
    ],
    [
      'a baseline that is no kernel',
      { baseline: 'kmod-alpha-1.0-1.el9' },
      /^wrong .* is no kernel of the gate \|/,
    ],
    [
      'a rebuild target that is not there',
      { rebuild: { target: 'none', draft: false } },
      /^wrong .*none.* \| koji add-target none/,
    ],
    [
      'a rebuild target that never sees a kernel that passed',
      { rebuild: { target: 'kmods9s-gate', draft: false } },
      /^wrong .* sees no tag that a kernel passes into \| koji add-tag-inheritance kmods9s-build c9s-candidate/,
    ],
  ])('%s is wrong', async (_, gate, expected) => {
    expect((await about({ gate: gate ?? {} })).find((line) => line.startsWith('wrong'))).toMatch(expected);
  });
  test('of which there is none yet is said', async () => {
    const [line] = await about({
      scenario: (small) => ({
        ...small,
        kernels: small.kernels.map((kernel) => ({ ...kernel, tags: ['c9s-build'] })),
      }),
    });
    expect(line).toMatch(
      /^info gate c9s: no kernel has passed yet, .* \| koji tag-build c9s-candidate KERNEL/,
    );
  });
});

describe('a gate that looks at symbols', () => {
  const symbols = { strategy: 'symbols', build: null } as const;
  test('needs no target and no builders, and a kernel that says what it provides', async () => {
    const told = await linesOf({ gate: symbols });
    expect(told).toContain('info gate c9s: it judges by symbols alone, and builds nothing');
    expect(told).toContain('ok gate c9s: kernel-core-6.1.170-47.el9 provides 5 symbols, with their CRCs');
    expect(told.filter((line) => /^\w+ gate .*(builders|scratch builds|repo)/.test(line))).toEqual([]);
  });
  test('can tell nothing of a kernel that does not say', async () => {
    const scenario = (small: Scenario): Scenario => ({
      ...small,
      kernels: small.kernels.map((kernel) => ({ ...kernel, symbols: [] })),
    });
    expect(await wrongs({ gate: { strategy: 'symbols-then-rebuild' }, scenario })).toEqual([
      expect.stringMatching(
        /^gate c9s: kernel-core-6\.1\.170-47\.el9 provides no symbol.* \| build the kernel with/,
      ),
    ]);
  });
  test('looks at a kernel that is one rpm, as SUSE has them', async () => {
    const scenario = (small: Scenario): Scenario => ({
      ...small,
      kernels: small.kernels.map((kernel) => ({ ...kernel, single: true })),
    });
    const told = await linesOf({ gate: symbols, scenario });
    expect(told).toContain('ok gate c9s: kernel-6.1.170-47.el9 provides 6 symbols, with their CRCs');
  });
  test('finds that the kernel is not built in its variant', async () => {
    expect(await wrongs({ gate: { ...symbols, variant: 'rt' } })).toEqual([
      'gate c9s: kernel-6.1.170-47.el9 has no rpm kernel-rt-core, and none kernel-rt | set variant to one that the kernel is built in',
    ]);
  });
  test('has none to look at yet', async () => {
    const told = await linesOf({ gate: { ...symbols, on_pass: { tag: ['kmods9s-gate-dest'], untag: [] } } });
    expect(told).toContainEqual(
      expect.stringMatching(/^unsure gate c9s: whether .*: there is no kernel to look at/),
    );
  });
});

describe('what is wrong, and what mends it', () => {
  test.each<[string, SetUp, RegExp]>([
    [
      'a tag that is not there',
      { gate: { on_pass: { tag: ['c9s-nowhere'], untag: [] } } },
      /^gate c9s: tag c9s-nowhere: .*\| koji add-tag c9s-nowhere/,
    ],
    [
      'a locked tag',
      { gate: { on_pass: { tag: ['c9s-frozen'], untag: ['c9s-gate'] } } },
      /^gate c9s: tag c9s-frozen is locked \| koji edit-tag --unlock c9s-frozen/,
    ],
    [
      'a locked watch tag',
      {
        gate: { on_pass: { tag: ['c9s-candidate'], untag: [] }, on_fail: { tag: [], untag: [] } },
        scenario: withTag('c9s-gate', { locked: true }),
      },
      /^gate c9s: tag c9s-gate is locked: no kernel comes into it \| koji edit-tag --unlock c9s-gate/,
    ],
    [
      'a package that is not listed',
      { gate: { on_pass: { tag: ['kmods9s-release'], untag: [] } } },
      /^gate c9s: package kernel is not listed in kmods9s-release, or blocked \| koji add-pkg --owner OWNER kmods9s-release kernel/,
    ],
    [
      'a package that is blocked where builds look for it',
      { scenario: withTag('kmods9s-build', { blocked: ['kernel'] }) },
      /^gate c9s: package kernel is not listed in kmods9s-build, or blocked \|.* where it is blocked \(koji list-pkgs --show-blocked --tag kmods9s-build --package kernel\), only koji unblock-pkg kmods9s-build kernel$/,
    ],
    [
      'no such target',
      { gate: { build: { ...GATE.build, target: 'nope' } } },
      /^gate c9s: target nope: .*No such build target: nope.* \| koji add-target/,
    ],
    [
      'a build tag that does not see the kernel',
      { scenario: withTag('kmods9s-build', { inherits: [] }) },
      /which does not inherit from c9s-gate \| koji add-tag-inheritance kmods9s-build c9s-gate/,
    ],
    [
      'a kernel that hides those of the gate',
      { scenario: withTag('kmods9s-build', { inherits: ['c9s-candidate', 'c9s-gate'] }) },
      /^gate c9s: kernel-6\.1\.170-47\.el9 in c9s-candidate hides every kernel in c9s-gate.*\| koji untag-build c9s-candidate kernel/,
    ],
    [
      'no kmod',
      { gate: { kmods: { ...GATE.kmods, include: ['akmod-*'] } } },
      /none of the 3 packages in kmods9s-release is a kmod of the gate \| koji tag-build kmods9s-release KMOD/,
    ],
    [
      'a tag that asks for a permission, of admins too',
      { koji: ADMIN, scenario: withTag('c9s-candidate', { perm: 'release' }) },
      /^gate c9s: no access to c9s-candidate: tag requires release permission \| koji grant-permission release kojiadmin$/,
    ],
    [
      'a tag that asks for the permission admin, which is no mend',
      { scenario: withTag('c9s-candidate', { perm: 'admin' }) },
      /^gate c9s: no access to c9s-candidate: tag requires admin permission \| koji edit-tag --no-perm c9s-candidate, .*; do not make kmod-gate an admin$/,
    ],
    [
      'a priority that is for admins',
      { gate: { build: { ...GATE.build, priority: -1 } } },
      /^gate c9s: build\.priority is -1, .* \| set build\.priority to 0 or more/,
    ],
    [
      'no side tags',
      {
        gate: repo('sidetag'),
        scenario: (small) => ({ ...small, hub: { ...small.hub, lacks: ['createSideTag', 'listSideTags'] } }),
      },
      /^gate c9s: build\.repo is "sidetag", and the hub has no side tags \| have the sidetag plugin/,
    ],
    [
      'no architectures',
      { scenario: (small) => ({ ...small, tags: small.tags.map((tag) => ({ ...tag, arches: [] })) }) },
      /^gate c9s: kmods9s-build has no architectures, so every build fails \| koji edit-tag --arches "x86_64 aarch64" kmods9s-build/,
    ],
    [
      'an architecture that nobody builds',
      { scenario: withTag('kmods9s-build', { arches: ['x86_64', 'ppc64le'] }) },
      /^gate c9s: builders for ppc64le: none is enabled.* \| koji enable-host HOST, .*koji edit-tag --arches "x86_64" kmods9s-build$/,
    ],
    [
      'nobody who makes repos',
      { scenario: (small) => ({ ...small, repo_builders: 0 }) },
      /^hub: builders for repos \(channel createrepo\): none is enabled.* \| koji add-host-to-channel HOST createrepo/,
    ],
    [
      'repos that fail',
      { scenario: (small) => ({ ...small, broken_repos: ['kmods9s-build'] }), before: regenerate },
      /^gate c9s: the newest 3 newRepo tasks of kmods9s-build failed: task \d+ \| koji taskinfo -v \d+/,
    ],
    [
      'a repo that kojira does not make',
      {
        scenario: withKojira,
        now: Date.now() - 2 * HOUR,
        before: (world) => completeAfter(world, MINUTE),
      },
      /^gate c9s: newest repo of kmods9s-build is 1, .*changed more than an hour ago.* \| koji regen-repo kmods9s-build/,
    ],
    [
      'a clock that is far off',
      { serve: { ahead: -10 * MINUTE } },
      /^hub: the hub's clock is (10|9) min behind this one \| set both clocks by NTP/,
    ],
    ['a wrong password', { koji: { password: 'wrong' } }, /^hub: .*login.* \| check user and password/],
    ['no login', { koji: { authtype: 'noauth' } }, /^hub: no login, .* \| set authtype in \[koji\]/],
    [
      'a certificate that is not there',
      { koji: { authtype: 'ssl', cert: '/no/such/client.pem' } },
      /^hub: .*client\.pem.* \| check cert, key and serverca/,
    ],
    [
      'an outage',
      { before: (world) => world.offline('database upgrade') },
      /^hub: .*database upgrade.*\| check koji.server.*the gates were not checked/,
    ],
    [
      'a store that cannot be made',
      { rest: { store: { url: 'sqlite:/no/such/folder/gate.db' } } },
      /^store: .*\| name a file in a folder/,
    ],
  ])('%s', async (_, setUp, expected) => {
    expect(await wrongs(setUp)).toEqual([expect.stringMatching(expected)]);
  });
});

describe.skipIf(!httpd())('a hub behind httpd', () => {
  let ours: Authority;
  let theirs: Authority;
  let server: WorldServer;
  beforeAll(async () => {
    [ours, theirs] = [createAuthority(), createAuthority()];
    server = await serveWorld(createWorld(loadScenario(SMALL)), { verifiedBy: VERIFIED });
  });
  afterAll(async () => {
    await server.close();
    ours.remove();
    theirs.remove();
  });
  /** What is wrong with the hub, behind an httpd that speaks so. */
  const ofHub = async (koji: SetUp['koji'], protocols?: string) => {
    const front = await startHttpd(server.url, ours, 'certificate', protocols);
    const timeout = 10_000;
    const told = await wrongs({ koji: { server: front.url, serverca: ours.ca, timeout, ...koji } });
    await front.stop();
    return told.filter((line) => line.startsWith('hub: '));
  };
  test.each<[string, () => string, RegExp]>([
    [
      'of another authority',
      () => theirs.ca,
      /^hub: .*; name its authority with serverca.* \| check server and serverca in \[koji\]; the gates were not/,
    ],
    [
      'that is no certificate',
      () => SMALL,
      /^hub: .*small\.toml: holds no certificate in PEM; .* \| check server and serverca in \[koji\]; the gates were not/,
    ],
  ])('whose serverca is a file %s: the network is not to blame', async (_, serverca, expected) => {
    expect(await ofHub({ serverca: serverca() })).toEqual([expect.stringMatching(expected)]);
  });
  test('that speaks TLS 1.3 alone: no certificate is to blame', async () => {
    const login = { authtype: 'ssl', cert: ours.issue('kmod-gate') } as const;
    expect(await ofHub(login, '+TLSv1.3')).toEqual([
      expect.stringMatching(
        /^hub: login: .*the hub must allow TLS 1\.2 at \/ssllogin .* \| ask the hub admin;/,
      ),
    ]);
  });
});

describe('what cannot be told', () => {
  test.each<[string, SetUp, RegExp]>([
    [
      'whether builders that are not ready are busy or down',
      { before: (world) => world.setBuilders(0) },
      /^unsure gate c9s: builders for x86_64: none of 2 builders is ready/,
    ],
    [
      'whether kojira is about to make a repo',
      {
        scenario: withKojira,
        now: Date.now() - 2 * HOUR,
        before: (world) => completeAfter(world, 2 * HOUR - MINUTE),
      },
      /^unsure gate c9s: newest repo of kmods9s-build is 1, .*, and the tag has changed since \| kojira may be at it/,
    ],
    [
      'whether a clock that is a little off does harm',
      { serve: { ahead: 20_000 } },
      /^unsure hub: the hub's clock is (19|20|21) s ahead/,
    ],
    [
      'a policy for named repos',
      { gate: repo('pin') },
      /^unsure gate c9s: whether it may name the repo .*build_from_repo_id/,
    ],
    [
      'a policy for side tags',
      { gate: repo('sidetag') },
      /^unsure gate c9s: whether it may create side tags of kmods9s-build \| .*"user kmod-gate && tag kmods9s-build :: allow"/,
    ],
    [
      'what a store in memory will remember',
      { rest: { store: { url: 'sqlite::memory:' } } },
      /^unsure store: it is in memory \| /,
    ],
  ])('%s', async (_, setUp, expected) => {
    const lines = await linesOf(setUp);
    expect(lines.filter((line) => line.startsWith('wrong'))).toEqual([]);
    expect(lines).toContainEqual(expect.stringMatching(expected));
  });
});

describe('evidence', () => {
  test('of side tags is one that the user has', async () => {
    const before = (world: World) => void world.as('kmod-gate').call('createSideTag', 'kmods9s-build');
    const lines = await linesOf({ gate: repo('sidetag'), before });
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^ok gate c9s: may create side tags of kmods9s-build: kmod-gate has kmods9s-build-side-\d+$/,
      ),
    );
  });

  test('of everything else is what the gate did', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    const url = `sqlite:${join(folder, 'gate.db')}`;
    await remember(url, [
      [
        { kind: 'scratch-build', kmod: 'kmod-alpha', source: 's', target: 'kmods9s-gate', priority: 5 },
        { how: 'done' },
      ],
      [{ kind: 'tag', tag: 'c9s-blocked', from: 'c9s-gate' }, { how: 'done' }],
    ]);
    const lines = await linesOf({ rest: { store: { url } } });
    rmSync(folder, { recursive: true });
    expect(lines).toContainEqual(expect.stringMatching(/^ok store: .*gate\.db: 1 run under way$/));
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^ok gate c9s: may move the kernel from c9s-gate to c9s-blocked: did so for kernel-9-1 on 2026-01-05/,
      ),
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/^ok gate c9s: may make scratch builds in kmods9s-gate: /),
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/^unsure gate c9s: whether it may move .* to c9s-candidate/),
    );
  });

  test('is the newest deed, and that may be a refusal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
    const url = `sqlite:${join(folder, 'gate.db')}`;
    const move: Write = { kind: 'tag', tag: 'c9s-blocked', from: 'c9s-gate' };
    const again: Write = { kind: 'tag', tag: 'c9s-candidate', from: 'c9s-gate' };
    const build: Write = {
      kind: 'scratch-build',
      kmod: 'kmod-alpha',
      source: 's',
      target: 'kmods9s-gate',
      priority: 5,
    };
    const violation = 'tagBuild: policy violation (tag) (fault 1004, not allowed; see the policy)';
    const compileError = { state: 'failed' as const, arches: [arch({ state: TASK.FAILED })] };
    await remember(url, [
      [move, { how: 'done' }],
      [move, { how: 'failed', why: violation }],
      [again, { how: 'failed', why: violation }],
      [again, { how: 'done' }],
      // The hub let it: what failed is the kmod.
      [build, { how: 'failed', why: 'a.c:1: policy violation', build: compileError }],
    ]);
    const lines = await linesOf({ rest: { store: { url } } });
    rmSync(folder, { recursive: true });
    expect(lines.filter((line) => /^\w+ gate c9s: (?:whether it )?may/.test(line))).toEqual([
      expect.stringMatching(/^ok gate c9s: may move the kernel from c9s-gate to c9s-candidate: did so for /),
      expect.stringMatching(
        /^wrong gate c9s: may not move the kernel from c9s-gate to c9s-blocked: refused for kernel-9-1 on 2026-01-05 .*: tagBuild: policy violation \(tag\) .* \| .*tag policy needs a rule like/,
      ),
      expect.stringMatching(/^ok gate c9s: may make scratch builds in kmods9s-gate: did so for /),
    ]);
  });
});

test('a store of another hub is wrong, and says whose it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  const url = `sqlite:${join(folder, 'gate.db')}`;
  await (await openStore(url, { mode: 'write', hub: 'https://koji.example.org/kojihub' })).close();
  const lines = await linesOf({ rest: { store: { url } } });
  rmSync(folder, { recursive: true });
  expect(lines).toContainEqual(
    expect.stringMatching(
      /^wrong store: .*gate\.db is a store of the hub https:\/\/koji\.example\.org\/kojihub/,
    ),
  );
});

/** What became of a write. */
type Became =
  | { readonly how: 'done' }
  | { readonly how: 'failed'; readonly why: string; readonly build?: BuildEvidence };

/** A store in which the gate asked all of this, a second each. */
async function remember(url: string, deeds: readonly (readonly [Write, Became])[]): Promise<void> {
  const store = await openStore(url, { mode: 'write' });
  const at = Date.UTC(2026, 0, 5, 12);
  const kernel = { id: 30, nvr: 'kernel-9-1', name: 'kernel', epoch: null, version: '9', release: '1' };
  await store.seeKernel(kernel, at);
  await store.beginRun({
    id: 'c9s/30/1',
    gate: 'c9s',
    kernel,
    generation: 1,
    entry: 1,
    tags: [],
    kmods: [],
    startedAt: at,
    strategy: 'rebuild',
    baseline: null,
  });
  const run = await store.run('c9s/30/1');
  if (!run) throw new Error('no run');
  const writes = deeds.map(([write]) => write);
  for (const [i, intent] of (await store.intend(run, writes, at)).entries())
    await store.end(run, intent, { at: at + i * 1000, ...(deeds[i]?.[1] ?? { how: 'done' }) });
  await store.close();
}

describe('the report', () => {
  const broken = (small: Scenario) => withTag('kmods9s-build', { inherits: [] })(small);
  const printed = async (json: boolean) => {
    let text = '';
    const write = (more: string) => {
      text += more;
    };
    const config = await configFor({ scenario: broken });
    const healthy = await doctor(config, { write, colour: false }, { json, listen: 0 });
    return { healthy, text };
  };

  test('has a line each with a mark and the mend below it, and a summary', async () => {
    const { healthy, text } = await printed(false);
    expect(healthy).toBe(false);
    expect(text).toMatch(/^✓ hub: Koji 1\.35\.3 at /);
    expect(text).toMatch(/^· hub: side tags/m);
    expect(text).toMatch(
      /^✗ gate c9s: target kmods9s-gate .*\n {4}koji add-tag-inheritance kmods9s-build c9s-gate/m,
    );
    expect(text).toMatch(/\n\n1 wrong, 3 cannot be told, \d+ fine\n$/);
    const areas = text.split('\n').flatMap((line) => /^[✓✗!·] (hub|store|gate|bus)/.exec(line)?.[1] ?? []);
    expect([...new Set(areas)]).toEqual(['hub', 'store', 'gate', 'bus']);
  });

  test('as JSON says the same', async () => {
    const { healthy, text } = await printed(true);
    expect(healthy).toBe(false);
    const { checks, summary }: { checks: Check[]; summary: Record<string, number> } = JSON.parse(text);
    expect(checks.filter(({ status }) => status === 'wrong')).toMatchObject([{ area: 'gate c9s' }]);
    expect(summary).toMatchObject({ wrong: 1, unsure: 3 });
  });
});
