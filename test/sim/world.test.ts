/** How the simulated Koji behaves where a gate could be fooled. */
import { describe, expect, it } from 'vitest';
import { Fault, type XmlStruct, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { struct } from '../../src/sim/arguments.ts';
import { loadScenario, type Rule, type Scenario } from '../../src/sim/scenario.ts';
import { BUILD, TASK, type Task } from '../../src/sim/state.ts';
import { createWorld, type World } from '../../src/sim/world.ts';

const small = loadScenario(`${import.meta.dirname}/small.toml`);
const OLD = 'kernel-6.1.170-47.el9';
const NEW = 'kernel-6.1.176-50.el9';
const MINUTE = 60_000;

const rule = (result: Rule['result'], more: Partial<Rule> = {}): Scenario => ({
  ...small,
  rules: [{ kmod: 'kmod-alpha', kernel: '*', arch: '*', result, log: [], times: null, ...more }],
});

/** A scratch build of a kmod, as a gate asks for it; returns the task's id. */
function build(
  world: World,
  kmod: string,
  opts: Record<string, XmlValue> = {},
  target = 'kmods9s-gate',
): number {
  const spec = small.kmods.find((each) => each.name === kmod) ?? {
    nvr: kmod,
    name: kmod,
    version: '0',
    release: '0',
  };
  const src = `../packages/${spec.name}/${spec.version}/${spec.release}/src/${spec.nvr}.src.rpm`;
  return Number(world.as('kmod-gate').call('build', src, target, { scratch: true, ...opts }));
}

function task(world: World, id: number): Task {
  const found = world.tasks()[id - 1];
  if (found === undefined) throw new Error(`no task ${id}`);
  return found;
}

const archTask = (world: World, parent: number) =>
  world.tasks().find((each) => each.parent === parent && each.method === 'buildArch');

/** Versions of the kernel-devel in a build's build root. */
function develOf(world: World, parent: number): string[] {
  const root = world.state.buildroots.findLast((each) => each.task_id === archTask(world, parent)?.id);
  return (root?.rpms ?? [])
    .filter((rpm) => rpm.name === 'kernel-devel')
    .map((rpm) => `${rpm.version}-${rpm.release}`);
}

function log(world: World, parent: number, name: string): string {
  return archTask(world, parent)?.files.get(name)?.content ?? '';
}

/** Code and text of the fault that something ends with. */
function faultOf(action: () => unknown): [number, string] {
  try {
    action();
  } catch (error) {
    if (error instanceof Fault) return [error.code, error.text];
    throw error;
  }
  throw new Error('no fault');
}

const result = (world: World, id: number) => world.as('kmod-gate').call('getTaskResult', id);

function logIn(world: World, user = 'kmod-gate', password = 'gate-password') {
  const reply = world.call({ method: 'login', params: [user, password] }) as XmlStruct;
  const claim = { id: Number(reply['session-id']), key: String(reply['session-key']) };
  let callnum = 0;
  return {
    claim,
    /** The next call of the session. */
    call: (method: string, ...params: XmlValue[]) =>
      world.call({ method, params, session: { ...claim, callnum: callnum++ } }),
    at: (number: number, method: string, ...params: XmlValue[]) =>
      world.call({ method, params, session: { ...claim, callnum: number } }),
  };
}

/** Name and readiness of builders. */
function hosts(world: World, filter: Record<string, XmlValue>): [unknown, unknown][] {
  const found = world.as('kmod-gate').call('listHosts', { ...filter, __starstar: true });
  return (found as XmlStruct[]).map(({ name, ready }) => [name, ready]);
}

describe('tags', () => {
  it('that ask for a permission are closed to who has not got it, admins too', () => {
    const tags = small.tags.map((tag) => (tag.name === 'c9s-candidate' ? { ...tag, perm: 'release' } : tag));
    const world = createWorld({ ...small, tags });
    const access = (user: string) => world.as(user).call('checkTagAccess', 'c9s-candidate');
    expect(access('kmod-gate')).toEqual([false, false, 'tag requires release permission']);
    expect(access('kojiadmin')).toEqual([false, true, 'tag requires release permission']);
    expect(faultOf(() => world.as('kojiadmin').untagBuild('c9s-candidate', OLD))[0]).toBe(1004);
  });

  it('without architectures build for those of their nearest ancestor', () => {
    const tags = small.tags.map((tag) => (tag.name === 'kmods9s-build' ? { ...tag, arches: [] } : tag));
    const world = createWorld({ ...small, tags });
    const id = build(world, 'kmod-alpha');
    world.tick(10 * MINUTE);
    expect(archTask(world, id)).toMatchObject({ label: 'x86_64', state: TASK.CLOSED });
    const config = world.as('kmod-gate').call('getBuildConfig', 'kmods9s-build');
    const inherited = { arches: { name: 'c9s-build' } };
    expect(config).toMatchObject({ arches: 'x86_64', config_inheritance: inherited });
  });

  it('tell whether they changed after an event, each for itself', () => {
    const world = createWorld(small);
    const before = struct(world.as('kmod-gate').call('getLastEvent'))['id'] ?? null;
    world.tick(MINUTE);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    const idOf = (name: string) => world.state.tags.find((tag) => tag.name === name)?.id ?? 0;
    const changed = (name: string) =>
      world.as('kmod-gate').call('tagChangedSinceEvent', before, [idOf(name)]);
    expect([changed('c9s-gate'), changed('kmods9s-build')]).toEqual([true, false]);
    expect(world.as('kmod-gate').call('getLastEvent', world.now() / 1000)).toMatchObject({ id: before });
    expect(faultOf(() => world.as('kmod-gate').call('getLastEvent', 1))[0]).toBe(1000);
  });

  const latest = (world: World, tag: string) =>
    (world.as('kmod-gate').call('getLatestBuilds', tag, null, 'kernel') as XmlStruct[]).map(
      (each) => each['nvr'],
    );

  it('takes what was tagged last for the latest, not the highest version', () => {
    const world = createWorld(small);
    world.completeKernel(NEW, { tag: 'c9s-blocked' });
    expect(latest(world, 'c9s-blocked')).toEqual([NEW]);
    world.as('release-manager').tagBuild('c9s-blocked', OLD);
    expect(latest(world, 'c9s-blocked')).toEqual([OLD]);
  });

  it('shows a tag as it was at an event', () => {
    const world = createWorld(small);
    const before = world.state.events.length;
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    const tagged = (event: number | null) =>
      world.as('kmod-gate').call('listTagged', 'c9s-gate', event, true) as XmlStruct[];
    expect(tagged(before).map((each) => each['nvr'])).toEqual([OLD]);
    expect(tagged(null).map((each) => each['nvr'])).toEqual([NEW, OLD]);
  });

  it('changes a tag when the task closes, and moves in one event', () => {
    const world = createWorld(small);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    const id = Number(world.as('kmod-gate').call('moveBuild', 'c9s-gate', 'c9s-candidate', NEW));
    expect(world.tags(NEW)).toEqual(['c9s-gate']);
    world.tick(MINUTE);
    expect(task(world, id).state).toBe(TASK.CLOSED);
    expect(world.tags(NEW)).toEqual(['c9s-candidate']);
    const [left, entered] = world.state.listings.slice(-2);
    expect(left?.revoke_event).toBe(entered?.create_event);
  });

  it('accepts tagging what is tagged already, and the task fails', () => {
    const world = createWorld(small);
    const id = Number(world.as('kmod-gate').call('tagBuild', 'c9s-candidate', OLD));
    world.tick(MINUTE);
    expect(faultOf(() => result(world, id))).toEqual([1003, `build ${OLD} already tagged (c9s-candidate)`]);
  });

  it.each([
    ['a package that the tag does not list', 'kmods9s-release', 1003],
    ['a locked tag', 'c9s-frozen', 1004],
    ['a tag that does not exist', 'no-such-tag', 1000],
  ])('refuses %s', (_what, tag, code) => {
    const world = createWorld(small);
    expect(faultOf(() => world.as('kmod-gate').call('tagBuild', tag, OLD))[0]).toBe(code);
    expect(world.tags(OLD)).toEqual(['c9s-build', 'c9s-candidate']);
  });

  it('keeps what is in a locked tag', () => {
    const world = createWorld(small);
    expect(faultOf(() => world.as('kmod-gate').untagBuild('c9s-frozen', OLD))).toEqual([
      1004,
      'tag is locked',
    ]);
  });

  it('keeps to the tag policy, which lets owners of side tags do as they like there', () => {
    const world = createWorld(small);
    const gate = world.as('kmod-gate');
    const denied = [1004, 'policy violation (tag): not covered by policy'];
    expect(faultOf(() => gate.untagBuild('kmods9s-release', 'kmod-alpha-1.0-1.el9'))).toEqual(denied);
    const { name } = gate.call('createSideTag', 'kmods9s-build') as XmlStruct;
    gate.tagBuild(String(name), OLD);
    expect(faultOf(() => world.as('release-manager').untagBuild(String(name), OLD))).toEqual(denied);
    expect(world.tags(OLD)).toContain(name);
  });

  it('untags at once, and once only', () => {
    const world = createWorld(small);
    const gate = world.as('kmod-gate');
    gate.call('untagBuild', 'c9s-candidate', OLD);
    expect(world.tags(OLD)).toEqual(['c9s-build']);
    expect(faultOf(() => gate.call('untagBuild', 'c9s-candidate', OLD))[0]).toBe(1003);
  });
});

describe('repos and build roots', () => {
  it('fail to be made where the scenario says so', () => {
    const world = createWorld({ ...small, broken_repos: ['kmods9s-build'] });
    const id = Number(world.as('kojiadmin').call('newRepo', 'kmods9s-build'));
    world.tick(5 * MINUTE);
    expect(task(world, id).state).toBe(TASK.FAILED);
  });

  it('fail for a while, or wait for somebody to make them', () => {
    const world = createWorld(small);
    const made = () => Number(world.as('kojiadmin').call('newRepo', 'kmods9s-build'));
    world.breakRepos(['kmods9s-build']);
    const broken = made();
    world.tick(5 * MINUTE);
    world.breakRepos([]);
    world.setRepoBuilders(0);
    const waiting = made();
    world.tick(60 * MINUTE);
    const { FAILED, FREE, CLOSED } = TASK;
    expect([broken, waiting].map((id) => task(world, id).state)).toEqual([FAILED, FREE]);
    world.setRepoBuilders(null);
    world.tick(5 * MINUTE);
    expect(task(world, waiting).state).toBe(CLOSED);
  });

  it('builds against the old kernel as long as no repo holds the new one', () => {
    const world = createWorld(small);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    const id = build(world, 'kmod-alpha');
    world.tick(10 * MINUTE);
    expect(task(world, id).state).toBe(TASK.CLOSED);
    expect(develOf(world, id)).toEqual(['6.1.170-47.el9']);
  });

  it('waits for a repo with the builds that wait_builds names', () => {
    const world = createWorld(small);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    const id = build(world, 'kmod-alpha', { wait_builds: [NEW] });
    world.tick(10_000);
    expect(archTask(world, id)).toBeUndefined();
    world.tick(10 * MINUTE);
    expect(develOf(world, id)).toEqual(['6.1.176-50.el9']);
  });

  it('gives up on builds that nobody tags', () => {
    const world = createWorld(small);
    const id = build(world, 'kmod-alpha', { wait_builds: [NEW] });
    world.tick(121 * MINUTE);
    const text = `Unsuccessfully waited 120:00 for ${NEW} to appear in the kmods9s-build repo`;
    expect(faultOf(() => result(world, id))).toEqual([1000, text]);
  });

  it('takes a kernel that is tagged but not the latest for there, and builds against the latest', () => {
    const world = createWorld(small);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    world.as('release-manager').tagBuild('c9s-gate', OLD);
    const id = build(world, 'kmod-alpha', { wait_builds: [NEW] });
    world.tick(10 * MINUTE);
    expect(develOf(world, id)).toEqual(['6.1.170-47.el9']);
  });

  it('leaves out of a repo what is tagged while it is made', () => {
    const world = createWorld(small);
    const gate = world.as('kmod-gate');
    gate.tagBuild('c9s-gate', OLD);
    const { request } = gate.call('repo.request', 'kmods9s-build', 'last') as { request: XmlStruct };
    world.tick(10_000);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    world.tick(MINUTE);
    const { repo } = gate.call('repo.checkRequest', request['id'] ?? null) as { repo: XmlStruct };
    const id = build(world, 'kmod-alpha', { repo_id: repo['id'] ?? null });
    world.tick(5 * MINUTE);
    expect(develOf(world, id)).toEqual(['6.1.170-47.el9']);
    expect((gate.call('repo.request', 'kmods9s-build', 'last') as XmlStruct)['repo']).toBeNull();
  });

  it('refuses repo_id to those whom the policy does not name', () => {
    const world = createWorld({ ...small, policy: { ...small.policy, repo_id: [] } });
    const id = build(world, 'kmod-alpha', { repo_id: 1 });
    world.tick(MINUTE);
    const why = ': Only admin can do this via default policy';
    expect(faultOf(() => result(world, id))).toEqual([1004, `policy violation (build_from_repo_id)${why}`]);
  });

  describe('and a policy that names others', () => {
    const play = (admins?: boolean) => {
      const policy = { tag: { 'kmod-gate': ['c9s-*'] }, repo_id: ['kmod-gate'], srpm: ['kmod-gate'] };
      const world = createWorld({ ...small, policy: { ...policy, ...(admins !== undefined && { admins }) } });
      const src = '../packages/kmod-alpha/1.0/1.el9/src/kmod-alpha-1.0-1.el9.src.rpm';
      const build = (user: string, opts: XmlStruct) => {
        const id = Number(world.as(user).call('build', src, 'kmods9s-gate', opts));
        world.tick(MINUTE);
        return faultOf(() => result(world, id)).slice(0, 2);
      };
      return { world, build, kernel: world.completeKernel(NEW) };
    };

    it('binds admins', () => {
      const { world, build, kernel } = play();
      expect(faultOf(() => world.as('kojiadmin').tagBuild('c9s-candidate', kernel))[0]).toBe(1004);
      const pinned = build('kojiadmin', { scratch: true, repo_id: 1 });
      expect(pinned).toEqual([1004, 'policy violation (build_from_repo_id)']);
    });
    it('lets them where it begins with that, as Koji’s own do, and nobody else', () => {
      const { world, build, kernel } = play(true);
      world.as('kojiadmin').tagBuild('c9s-candidate', kernel);
      world.as('kojiadmin').untagBuild('c9s-candidate', kernel);
      expect(faultOf(() => world.as('release-manager').tagBuild('c9s-candidate', kernel))[0]).toBe(1004);
      for (const opts of [{ scratch: true, repo_id: 1 }, {}]) {
        expect(build('kojiadmin', opts).join()).not.toContain('policy violation');
        expect(build('release-manager', opts).join()).toContain('policy violation');
      }
    });
  });

  it('gives a side tag a build root of its own', () => {
    const world = createWorld(small);
    const kernel = world.completeKernel(NEW);
    const gate = world.as('kmod-gate');
    const { name } = gate.call('createSideTag', 'kmods9s-build') as { name: string };
    gate.tagBuild(name, kernel);
    const inSide = build(world, 'kmod-alpha', { wait_builds: [NEW] }, name);
    const outside = build(world, 'kmod-alpha', { wait_repo: true });
    world.tick(10 * MINUTE);
    expect(develOf(world, inSide)).toEqual(['6.1.176-50.el9']);
    expect(develOf(world, outside)).toEqual(['6.1.170-47.el9']);
    gate.call('removeSideTag', name);
    expect(world.tags(NEW)).toEqual([]);
    expect(gate.call('getBuildTarget', name)).toBeNull();
  });

  it('lists the build root, the kernel-devel of which names its build', () => {
    const world = createWorld(small);
    const kernel = world.completeKernel(NEW, { tag: 'c9s-gate' });
    const id = build(world, 'kmod-alpha', { wait_builds: [NEW] });
    world.tick(10 * MINUTE);
    const gate = world.as('kmod-gate');
    const [root] = gate.call('listBuildroots', {
      taskID: archTask(world, id)?.id ?? 0,
      __starstar: true,
    }) as XmlStruct[];
    const rpms = gate.call('listRPMs', {
      componentBuildrootID: root?.['id'] ?? 0,
      __starstar: true,
    }) as XmlStruct[];
    const found = Object.fromEntries(rpms.map((rpm) => [String(rpm['name']), rpm['build_id']]));
    expect(found).toMatchObject({ 'kernel-devel': kernel, gcc: null, make: null });
  });
});

describe('trying a kmod', () => {
  const tried = (scenario: Scenario, kmod: string) => {
    const world = createWorld(scenario);
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    const id = build(world, kmod, { wait_builds: [NEW] });
    world.tick(10 * MINUTE);
    return { world, id };
  };

  it('builds where only CRCs changed', () => {
    const { world, id } = tried(small, 'kmod-beta');
    const value = result(world, id) as XmlStruct;
    const child = archTask(world, id)?.id;
    expect(value['rpms']).toEqual([`tasks/${child}/${child}/kmod-beta-2.1-3.el9.x86_64.rpm`]);
  });

  it('fails at a symbol that the kernel no longer has', () => {
    const { world, id } = tried(small, 'kmod-gamma');
    expect(faultOf(() => result(world, id))).toEqual([
      1005,
      'error building package (arch x86_64), mock exited with status 1; see build.log or root.log for more information',
    ]);
    expect(log(world, id, 'build.log')).toContain(
      "error: implicit declaration of function 'pci_clear_master'",
    );
  });

  it('builds a kmod that pins a kernel against that kernel', () => {
    const pinned = small.kmods.map((kmod) => ({ ...kmod, pins: OLD }));
    const { world, id } = tried({ ...small, kmods: pinned }, 'kmod-gamma');
    expect(task(world, id).state).toBe(TASK.CLOSED);
    expect(develOf(world, id)).toEqual(['6.1.170-47.el9']);
  });

  it('has no build root for a kmod that pins a kernel that is nowhere', () => {
    const pinned = small.kmods.map((kmod) => ({ ...kmod, pins: 'kernel-6.1.99-1.el9' }));
    const { world, id } = tried({ ...small, kmods: pinned }, 'kmod-alpha');
    expect(faultOf(() => result(world, id))[1]).toContain('mock exited with status 30; see root.log');
    expect(log(world, id, 'root.log')).toContain(
      "No matching package to install: 'kernel-devel = 6.1.99-1.el9'",
    );
  });

  it.each([
    ['fails', 1005],
    ['mock-error', 1005],
    ['init-error', 1012],
    ['traceback', 1],
  ] as const)('goes by a rule that says %s', (kind, code) => {
    const { world, id } = tried(rule(kind, { log: ['alpha.c:7:1: error: no such thing'] }), 'kmod-alpha');
    expect(faultOf(() => result(world, id))[0]).toBe(code);
    const logs = `${log(world, id, 'build.log')}${log(world, id, 'root.log')}`;
    expect(logs.includes('no such thing')).toBe(kind !== 'traceback');
  });

  it('applies a rule to the kernels and the tries that it names', () => {
    const once = rule('fails', { kernel: 'kernel-6.1.17?-47*', times: 1 });
    const world = createWorld(once);
    const states = [1, 2].map(() => {
      const id = build(world, 'kmod-alpha');
      world.tick(10 * MINUTE);
      return task(world, id).state;
    });
    expect(states).toEqual([TASK.FAILED, TASK.CLOSED]);
    expect(task(tried(once, 'kmod-alpha').world, 1).state).toBe(TASK.CLOSED);
  });

  it('starts anew on another builder when one dies', () => {
    const world = createWorld(rule('restart', { times: 1 }));
    const states: unknown[] = [];
    world.onMessage((event) => {
      if (event.kind === 'task' && event.task['method'] === 'buildArch') states.push(event.task['state']);
    });
    const id = build(world, 'kmod-alpha');
    world.tick(10 * MINUTE);
    const { FREE, ASSIGNED, OPEN, CLOSED } = TASK;
    expect(states).toEqual([FREE, ASSIGNED, OPEN, FREE, ASSIGNED, OPEN, CLOSED]);
    expect(task(world, id).state).toBe(CLOSED);
  });

  it('starts anew when all builders are started again', () => {
    const world = createWorld(small);
    const id = build(world, 'kmod-alpha');
    world.tick(30_000);
    expect(archTask(world, id)?.state).toBe(TASK.OPEN);
    world.restartBuilders();
    expect(archTask(world, id)?.state).toBe(TASK.FREE);
    world.tick(10 * MINUTE);
    expect(task(world, id).state).toBe(TASK.CLOSED);
    expect(world.state.buildroots.map(({ retire_event }) => retire_event !== null)).toEqual([true, true]);
  });

  it('hangs until it is cancelled, which frees its builder', () => {
    const world = createWorld({ ...rule('hangs'), builders: 1 });
    const hanging = build(world, 'kmod-alpha');
    world.tick(2 * MINUTE);
    const next = build(world, 'kmod-beta');
    world.tick(60 * MINUTE);
    expect([task(world, hanging).state, archTask(world, next)]).toEqual([TASK.OPEN, undefined]);
    world.as('kmod-gate').call('cancelTask', hanging);
    world.tick(10 * MINUTE);
    expect(archTask(world, hanging)?.state).toBe(TASK.CANCELED);
    expect(task(world, next).state).toBe(TASK.CLOSED);
  });
});

describe('tasks', () => {
  it('runs no more mock builds at a time than there are builders', () => {
    const world = createWorld({ ...small, builders: 2 });
    const ids = ['kmod-alpha', 'kmod-beta', 'kmod-gamma'].map((kmod) => build(world, kmod));
    let most = 0;
    for (let i = 0; i < 600; i += 1) {
      world.tick(1000);
      const open = world.tasks().filter((each) => each.state === TASK.OPEN && each.method === 'buildArch');
      most = Math.max(most, open.length);
    }
    expect(most).toBe(2);
    expect(ids.map((id) => task(world, id).state)).toEqual([TASK.CLOSED, TASK.CLOSED, TASK.CLOSED]);
  });

  it('waits while there is no builder', () => {
    const world = createWorld({ ...small, builders: 0 });
    const id = build(world, 'kmod-alpha');
    world.tick(60 * MINUTE);
    expect(task(world, id).state).toBe(TASK.FREE);
    world.setBuilders(1);
    world.tick(5 * MINUTE);
    expect(task(world, id).state).toBe(TASK.CLOSED);
  });

  it('waits for ever for an architecture that no builder has', () => {
    const tags = small.tags.map((tag) =>
      tag.name === 'kmods9s-build' ? { ...tag, arches: ['s390x'] } : tag,
    );
    const world = createWorld({ ...small, tags });
    const id = build(world, 'kmod-alpha');
    world.tick(60 * MINUTE);
    expect(task(world, id).state).toBe(TASK.OPEN);
    expect(archTask(world, id)?.state).toBe(TASK.FREE);
    expect(hosts(world, { arches: ['s390x'] })).toEqual([]);
  });

  it('shows builders that went away as enabled and not ready, and leaves newRepo to those of its channel', () => {
    const world = createWorld({ ...small, builders: 2, repo_builders: 1 });
    world.setBuilders(1);
    const both = [
      ['builder1', true],
      ['builder2', false],
    ];
    expect(hosts(world, { enabled: true })).toEqual(both);
    expect(hosts(world, { channelID: 'createrepo' })).toEqual([both[0]]);
    expect(hosts(world, { ready: false })).toEqual([both[1]]);
    expect(faultOf(() => hosts(world, { channelID: 'nope' }))[0]).toBe(1000);
    const none = createWorld({ ...small, repo_builders: 0 });
    const id = Number(none.as('kojiadmin').call('newRepo', 'kmods9s-build'));
    none.tick(60 * MINUTE);
    expect(task(none, id).state).toBe(TASK.FREE);
  });

  it('has one buildArch for each architecture that is asked for, and cancels the rest when one fails', () => {
    const tags = small.tags.map((tag) => ({
      ...tag,
      arches: tag.arches.length > 0 ? ['x86_64', 'aarch64'] : [],
    }));
    const scenario = { ...small, tags, arches: ['x86_64', 'aarch64'], builders: 1 };
    const world = createWorld({
      ...rule('fails', { arch: 'x86_64' }),
      ...scenario,
      rules: rule('fails').rules,
    });
    const both = build(world, 'kmod-alpha');
    const one = build(world, 'kmod-beta', { arch_override: 'aarch64 s390x' });
    const none = build(world, 'kmod-beta', { arch_override: 's390x' });
    world.tick(20 * MINUTE);
    const arches = (id: number) =>
      world.tasks().filter((each) => each.parent === id && each.label !== 'srpm');
    expect(arches(both).map(({ label, state }) => [label, state])).toEqual([
      ['x86_64', TASK.FAILED],
      ['aarch64', TASK.CANCELED],
    ]);
    expect(arches(one).map(({ label, state }) => [label, state])).toEqual([['aarch64', TASK.CLOSED]]);
    expect(faultOf(() => result(world, none))).toEqual([1005, 'No matching arches were found']);
  });

  it.each([
    ['an unknown target', 'kmod-alpha', {}, 'nowhere', 1000],
    ['a source rpm that is not there', 'kmod-unknown-1-1', {}, 'kmods9s-gate', 1],
    ['a package that the destination does not list', 'kmod-alpha', { scratch: false }, 'kmods9s-other', 1005],
    ['a build that exists', 'kmod-alpha', { scratch: false }, 'kmods9s-gate', 1000],
    ['a repo of another tag', 'kmod-alpha', { repo_id: 1 }, 'kmods9s-other', 1005],
  ] as const)('takes %s, and fails later', (_what, kmod, opts, target, code) => {
    const other = { name: 'kmods9s-other', build_tag: 'c9s-build', dest_tag: 'c9s-blocked' };
    const policy = { ...small.policy, srpm: ['kmod-gate'] };
    const world = createWorld({ ...small, policy, targets: [...small.targets, other] });
    const id = build(world, kmod, opts, target);
    world.tick(10 * MINUTE);
    expect(faultOf(() => result(world, id))[0]).toBe(code);
  });

  // What a Koji 1.35.3 hub answered to host.assertPolicy and host.initBuild of the same.
  describe('a real build', () => {
    const ALPHA = 'git+https://git.example.org/kmods/kmod-alpha';
    const SRPM = '../packages/kmod-alpha/1.0/1.el9/src/kmod-alpha-1.0-1.el9.src.rpm';
    const EXISTS =
      "Build already exists (id=2, state=COMPLETE): {'name': 'kmod-alpha', 'version': '1.0', 'release': '1.el9', ";
    const DRAFT_EXISTS = 'Target build already exists: kmod-alpha-1.0-1.el9 (id=2)';
    const NOT_ADMIN = 'policy violation (build_from_srpm): Only admin can do this via default policy';
    const made = (
      source: string,
      {
        dist,
        head,
        srpm = [],
        draft = false,
      }: { dist?: string; head?: string; srpm?: string[]; draft?: boolean },
    ) => {
      const tag = { name: 'real-build', inherits: ['c9s-build'], packages: [], blocked: [], locked: false };
      const world = createWorld({
        ...small,
        policy: { ...small.policy, srpm },
        tags: [...small.tags, { ...tag, perm: null, arches: ['x86_64'], ...(dist && { dist }) }],
        targets: [...small.targets, { name: 'real', build_tag: 'real-build', dest_tag: 'kmods9s-release' }],
        kmods: small.kmods.map((kmod) => ({ ...kmod, scm: ALPHA, ...(head && { head }) })),
      });
      const id = Number(world.as('kojiadmin').call('build', source, 'real', { draft }));
      world.tick(10 * MINUTE);
      const built = world.state.builds.find(({ task_id }) => task_id === id);
      return built ? [built.nvr, built.source] : faultOf(() => result(world, id))[1];
    };
    it.each([
      ['of a name that is there', SRPM, {}, EXISTS],
      ['as a draft of a name that is there', SRPM, { draft: true }, DRAFT_EXISTS],
      [
        'from a source rpm, where the policy names others',
        SRPM,
        { srpm: ['kmod-gate'] },
        'policy violation (build_from_srpm)',
      ],
      ['from a branch of which the release is the same', `${ALPHA}#c9s`, {}, EXISTS],
    ] as const)('is refused %s', (_what, source, how, fault) => {
      expect(made(source, { ...how, srpm: 'srpm' in how ? [...how.srpm] : [] })).toContain(fault);
    });
    it.each([
      [
        'with another %dist',
        SRPM,
        { dist: '.el9_7' },
        ['kmod-alpha-1.0-1.el9_7', 'kmod-alpha-1.0-1.el9.src.rpm'],
      ],
      [
        'as a draft of it',
        SRPM,
        { dist: '.el9_7', draft: true },
        [expect.stringMatching(/^kmod-alpha-1\.0-1\.el9_7,draft_\d+$/), 'kmod-alpha-1.0-1.el9.src.rpm'],
      ],
      [
        'from a branch with a bumped release',
        `${ALPHA}#c9s`,
        { head: '2.el9' },
        ['kmod-alpha-1.0-2.el9', `${ALPHA}#c9s`],
      ],
    ] as const)('is made %s', (_what, source, how, build) => {
      expect(made(source, how)).toEqual(build);
    });
    it('from a source rpm is for admins unless a policy says otherwise', () => {
      const world = createWorld(small);
      const id = Number(world.as('kmod-gate').call('build', SRPM, 'kmods9s-gate', {}));
      world.tick(MINUTE);
      expect(faultOf(() => result(world, id))).toEqual([1004, NOT_ADMIN]);
    });
  });

  it('builds from a source repository called like the package', () => {
    const world = createWorld(small);
    const id = world
      .as('kmod-gate')
      .call('build', 'git+https://git.example.org/kmod-beta.git#abc', 'kmods9s-gate', { scratch: true });
    world.tick(10 * MINUTE);
    expect(task(world, Number(id)).state).toBe(TASK.CLOSED);
    expect(world.tasks().some((each) => each.method === 'buildSRPMFromSCM')).toBe(true);
  });

  it('lets only the owner and administrators cancel', () => {
    const world = createWorld(small);
    const id = build(world, 'kmod-alpha');
    const cancel = (user: string) => world.as(user).call('cancelTask', id);
    expect(faultOf(() => cancel('release-manager'))).toEqual([1004, 'Cannot cancel task, not owner']);
    cancel('kojiadmin');
    expect(faultOf(() => result(world, id))).toEqual([1000, `Task ${id} is canceled`]);
  });

  it('finds a submission by its metadata', () => {
    const world = createWorld(small);
    build(world, 'kmod-alpha', { custom_user_metadata: { attempt: 'a-17' } });
    const rows = world
      .as('kmod-gate')
      .call('listTasks', { owner: 2, method: 'build', decode: true }, { order: '-id', limit: 1 });
    const [{ request } = { request: null }] = rows as XmlStruct[];
    expect(request).toMatchObject([
      expect.any(String),
      'kmods9s-gate',
      { custom_user_metadata: { attempt: 'a-17' } },
    ]);
  });
});

describe('sessions', () => {
  it('refuses call numbers at or below that of the last write', () => {
    const world = createWorld(small);
    const session = logIn(world);
    session.at(5, 'build', 'x.src.rpm', 'kmods9s-gate', { scratch: true });
    expect(faultOf(() => session.at(4, 'getLoggedInUser'))).toEqual([1008, '5 > 4 (session 1)']);
    expect(faultOf(() => session.at(5, 'getLoggedInUser'))[0]).toBe(1009);
    expect(session.at(6, 'getLoggedInUser')).toMatchObject({ name: 'kmod-gate' });
  });

  it('forgets the number of a call that only reads, so that a late write still gets through', () => {
    const world = createWorld(small);
    const session = logIn(world);
    session.at(8, 'listTags');
    session.at(7, 'untagBuild', 'c9s-candidate', OLD);
    expect(world.tags(OLD)).toEqual(['c9s-build']);
  });

  it('ends them by logout, by time, and for everybody in an outage', () => {
    const world = createWorld(small);
    const session = logIn(world);
    world.offline('back at 18:00');
    expect(faultOf(() => session.call('getTag', 'c9s-gate'))).toEqual([1014, 'back at 18:00']);
    world.offline(null);
    session.call('logout');
    expect(faultOf(() => session.call('getLoggedInUser'))[0]).toBe(1002);
    const second = logIn(world);
    world.expireSessions();
    expect(faultOf(() => second.call('getLoggedInUser'))).toEqual([1007, 'session "2" has expired']);
    expect(faultOf(() => logIn(world, 'kmod-gate', 'wrong'))[0]).toBe(1002);
  });

  it('answers the calls of a multiCall one by one', () => {
    const world = createWorld(small);
    const calls = [
      { methodName: 'getTag', params: ['nowhere', { strict: true, __starstar: true }] },
      { methodName: 'getTag', params: [] },
      { methodName: 'getAPIVersion', params: [] },
    ];
    expect(world.call({ method: 'multiCall', params: [calls] })).toMatchObject([
      { faultCode: 1000, faultString: "No such tagInfo: 'nowhere'" },
      { faultCode: 1019, faultString: "get_tag() missing 1 required positional argument: 'tagInfo'" },
      [1],
    ]);
  });
});

describe('symbols', () => {
  it('has exports in core and modules, and imports in the kmod', () => {
    const world = createWorld(small);
    const gate = world.as('kmod-gate');
    const rpms = gate.call('listBuildRPMs', OLD) as XmlStruct[];
    const id = (name: string) =>
      Number(rpms.find((rpm) => rpm['name'] === name && rpm['arch'] === 'x86_64')?.['id']);
    const deps = gate.call('getRPMDeps', id('kernel-core'), 1);
    expect(deps).toContainEqual({ name: 'kernel(kfree)', version: '0x037a0cba', flags: 8, type: 1 });
    const headers = {
      rpmID: id('kernel-modules'),
      headers: ['PROVIDENAME', 'PROVIDEVERSION'],
      __starstar: true,
    };
    expect(gate.call('getRPMHeaders', headers)).toMatchObject({
      PROVIDENAME: ['kernel(v4l2_device_register)', 'kernel-modules', 'kernel-modules(x86-64)'],
      PROVIDEVERSION: ['0x28fae60d', '6.1.170-47.el9', '6.1.170-47.el9'],
    });
    const kmod = world.state.rpms.find((rpm) => rpm.name === 'kmod-beta' && rpm.arch === 'x86_64')?.id ?? 0;
    expect(gate.call('getRPMDeps', kmod, 0)).toContainEqual({
      ...{ name: 'kernel(seq_printf)', version: '0xac8427d8', flags: 16392, type: 0 },
    });
  });
});

describe('the world', () => {
  const play = () => {
    const world = createWorld(small);
    const heard: unknown[] = [];
    world.onMessage((event) => heard.push(event));
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    for (const kmod of ['kmod-alpha', 'kmod-gamma']) build(world, kmod, { wait_builds: [NEW] });
    return { world, heard };
  };

  it('comes out the same for the same calls, in however many ticks', () => {
    const [whole, pieces] = [play(), play()];
    whole.world.tick(400_000);
    for (let i = 0; i < 400; i += 1) pieces.world.tick(1000);
    expect(pieces.world.state).toEqual(whole.world.state);
    expect(pieces.heard).toEqual(whole.heard);
    expect(whole.world.build(NEW)?.state).toBe(BUILD.COMPLETE);
  });

  it('tells of changes in order, until nobody listens', () => {
    const world = createWorld(small);
    const kinds: string[] = [];
    const stop = world.onMessage((event) => kinds.push(event.kind));
    world.completeKernel(NEW, { tag: 'c9s-gate' });
    world.as('release-manager').moveBuild('c9s-gate', 'c9s-candidate', NEW);
    expect(kinds.filter((kind) => kind !== 'task')).toEqual(['build', 'build', 'tag', 'untag', 'tag']);
    stop();
    world.as('release-manager').untagBuild('c9s-candidate', NEW);
    expect(kinds.at(-1)).toBe('tag');
  });
});
