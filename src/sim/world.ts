/**
 * A Koji hub, its builders and its people in memory. A pure state machine: `call` is the hub's API, `tick` its
 * clock; no timers, no randomness, no real time. The same scenario and the same calls give the same world.
 */
import { Fault, type XmlValue } from '../koji/xmlrpc.ts';
import { administrator, importBuild, importRepo, kernelOf } from './builds.ts';
import { callMethod } from './hub.ts';
import type { Scenario, ScenarioTag } from './scenario.ts';
import { authenticate, type SessionClaim } from './sessions.ts';
import {
  type Build,
  buildOf,
  emptyState,
  FAULT,
  findBuild,
  findTag,
  newEvent,
  packageId,
  type State,
  type Task,
  tagOf,
  type User,
  userOf,
  type WorldEvent,
} from './state.ts';
import {
  addTarget,
  assertListed,
  assertMayTag,
  assertMayUntag,
  tagBuild,
  tagsOf,
  untagBuild,
} from './tags.ts';
import { freeTasks, nextMoment, step } from './tasks.ts';

/** A call as it arrives: positional parameters, keyword arguments in a last struct with `__starstar`. */
export interface CallRequest {
  readonly method: string;
  readonly params: readonly XmlValue[];
  readonly session?: SessionClaim;
  /** Whom the web server in front has verified by a certificate. */
  readonly verified?: string;
}

/** What a person does, at once and without a session. Throws the Faults that the hub would. */
export interface Person {
  tagBuild(tag: string, build: string | number): void;
  untagBuild(tag: string, build: string | number): void;
  moveBuild(from: string, to: string, build: string | number): void;
  /** Any method of the hub, on this user's behalf; tasks that it makes run on ticks. */
  call(method: string, ...params: readonly XmlValue[]): XmlValue;
}

/** A simulated Koji to call, to let time pass in, and to act in as a person. */
export interface World {
  /** Everything there is, to look at. */
  readonly state: State;
  /** The hub's API. Throws Fault; what a failed call changed is nothing. */
  call(request: CallRequest): XmlValue;
  /** Let time pass; whatever falls due on the way happens at its own moment, in order. */
  tick(ms: number): void;
  now(): number;
  /** Hear every change in order, after it happened. Returns the function that ends it. */
  onMessage(listener: (event: WorldEvent) => void): () => void;
  /** A kernel of the scenario with `built = false` is complete, and tagged if `tag` is given. Returns its build id. */
  completeKernel(nvr: string, options?: { readonly tag?: string }): number;
  as(user: string): Person;
  build(nvr: string): Build | undefined;
  /** Names of the tags that a build is in. */
  tags(build: string | number): string[];
  tasks(): readonly Task[];
  /** All sessions time out: their next call is fault 1007. */
  expireSessions(): void;
  /** A planned outage with the operator's words (fault 1014), or its end. */
  offline(text: string | null): void;
  /** From now on so many mock builds at one time. */
  setBuilders(count: number): void;
  /** From now on so many of the builders make repos; null: all. */
  setRepoBuilders(count: number | null): void;
  /** From now on no repo can be made of these tags. */
  breakRepos(tags: readonly string[]): void;
  /** Builders die and come back: the hub frees the builds that they were at. */
  restartBuilders(): void;
}

/** What the clock shows when nobody says: 2026-01-05 08:00 UTC. */
const START = Date.UTC(2026, 0, 5, 8);

/** A world as the scenario begins. `now` is what its clock shows. Throws an Error for a scenario that contradicts itself. */
export function createWorld(scenario: Scenario, options: { readonly now?: number } = {}): World {
  const state = emptyState(scenario, options.now ?? START);
  setUp(state);
  const listeners = new Set<(event: WorldEvent) => void>();
  const publish = () => {
    for (let event = state.outbox.shift(); event !== undefined; event = state.outbox.shift()) {
      for (const listener of listeners) listener(event);
    }
  };
  /** Do something that people on the bus will hear of, even where it fails half-way. */
  const act = <T>(action: () => T): T => {
    try {
      return action();
    } finally {
      publish();
    }
  };
  return {
    state,
    call: (request) => act(() => call(state, request)),
    tick(ms) {
      const until = state.now + ms;
      for (;;) {
        act(() => step(state));
        const next = nextMoment(state);
        if (next === null || next > until) break;
        state.now = Math.max(state.now, next);
      }
      state.now = until;
    },
    now: () => state.now,
    onMessage(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    completeKernel: (nvr, { tag } = {}) =>
      act(() => {
        if (findBuild(state, nvr) !== undefined) throw new Error(`${nvr} is complete already`);
        const build = importBuild(state, administrator(state), kernelOf(scenario, nvr));
        if (tag !== undefined) tagBuild(state, administrator(state), build, tagOf(state, tag), null);
        return build.id;
      }),
    as: (user) => person(state, userOf(state, user), act),
    build: (nvr) => findBuild(state, nvr),
    tags: (build) => tagsOf(state, buildOf(state, build)).map((tag) => tag.name),
    tasks: () => state.tasks,
    expireSessions() {
      for (const session of state.sessions) if (session.state === 'live') session.state = 'expired';
    },
    offline(text) {
      state.offline = text;
    },
    setBuilders(count) {
      state.builders = count;
    },
    setRepoBuilders(count) {
      state.repo_builders = count;
    },
    breakRepos(tags) {
      state.broken_repos = tags;
    },
    restartBuilders: () => act(() => freeTasks(state)),
  };
}

function call(state: State, { method, params, session: claim, verified }: CallRequest): XmlValue {
  if (state.offline !== null) throw new Fault(FAULT.OFFLINE, state.offline);
  const session = claim === undefined ? null : authenticate(state, method, claim);
  state.wrote = false;
  const value = callMethod(
    { state, session, verified: verified ?? null, user: session?.user ?? null },
    method,
    params,
  );
  // Koji commits the call number together with what the call wrote, and else forgets it.
  if (session !== null && state.wrote) session.callnum = claim?.callnum ?? session.callnum;
  return value;
}

function person(state: State, user: User, act: <T>(action: () => T) => T): Person {
  const move = (ref: string | number, to: string, fromName: string | null) => {
    const build = buildOf(state, ref);
    const tag = tagOf(state, to);
    const from = fromName === null ? null : tagOf(state, fromName);
    assertMayTag(state, user, build, tag, from);
    tagBuild(state, user, build, tag, from);
  };
  return {
    tagBuild: (tag, build) => act(() => move(build, tag, null)),
    moveBuild: (from, to, build) => act(() => move(build, to, from)),
    untagBuild: (name, build) =>
      act(() => {
        const tag = tagOf(state, name);
        assertMayUntag(state, user, tag);
        untagBuild(state, user, buildOf(state, build), tag, true);
      }),
    call: (method, ...params) =>
      act(() => callMethod({ state, session: null, verified: null, user }, method, params)),
  };
}

// ------------------------------------------------------------------------------------------ the beginning

function setUp(state: State): void {
  const { scenario } = state;
  for (const spec of scenario.tags) addTag(state, spec);
  for (const { name, build_tag, dest_tag } of scenario.targets) {
    addTarget(state, name, tagOf(state, build_tag), tagOf(state, dest_tag));
  }
  const admin = administrator(state);
  for (const spec of [...scenario.kernels.filter((kernel) => kernel.built), ...scenario.kmods]) {
    const build = importBuild(state, admin, spec);
    for (const name of spec.tags) {
      const tag = tagOf(state, name);
      // Locks, permissions and policies came later than the builds.
      assertListed(state, tag, build);
      tagBuild(state, admin, build, tag, null);
    }
  }
  for (const id of new Set(state.targets.map((target) => target.build_tag)))
    importRepo(state, admin, tagOf(state, id));
  state.outbox.length = 0;
}

/** Tags are made in the order of the scenario, so that parents come before their children. */
function addTag(state: State, spec: ScenarioTag): void {
  const packages = [
    ...spec.packages.map((name) => [name, false] as const),
    ...spec.blocked.map((name) => [name, true] as const),
  ];
  for (const [name] of packages) packageId(state, name);
  const parents = spec.inherits.map((name, i) => {
    const parent = findTag(state, name);
    if (parent === undefined) throw new Error(`tag ${spec.name} inherits from ${name}, which comes after it`);
    return { id: parent.id, priority: 10 * i };
  });
  state.lastTagId += 1;
  state.tags.push({
    id: state.lastTagId,
    name: spec.name,
    arches: spec.arches,
    locked: spec.locked,
    perm: spec.perm,
    extra: spec.dist ? { 'rpm.macro.dist': spec.dist } : {},
    parents,
    packages: new Map(packages),
    create_event: newEvent(state),
    revoke_event: null,
  });
}
