/** The simulated hub answers what a real Koji 1.35.3 answered, to the same requests in the same order. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeCall, decodeResponse, Fault, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { encodeFault, encodeResponse } from '../../src/sim/replies.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import type { SessionClaim } from '../../src/sim/sessions.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { differences, shapeOf } from './xmlshape.ts';

interface Recording {
  readonly user: string | null;
  readonly method: string;
  readonly note: string;
  readonly request_headers: Readonly<Record<string, string>>;
  readonly request: string;
  readonly response: string;
}

const folder = `${import.meta.dirname}/../recordings/koji`;
const recordings = readdirSync(folder)
  .sort()
  .map((file): [number, Recording] => [
    Number(file.slice(0, 3)),
    JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')),
  ]);

const PASSWORDS: Record<string, string> = { kojiadmin: 'admin-password', 'kmod-gate': 'gate-password' };

/** Recorded ids, and the ids of what plays their part here. */
interface Lab {
  readonly world: World;
  readonly ids: Record<Kind, Map<number, number>>;
  readonly sessions: Map<number, SessionClaim>;
}

type Kind = 'build' | 'task' | 'repo' | 'request' | 'rpm' | 'buildroot';

/** Which positional argument, or member of a struct, is an id of what kind. */
const POSITIONAL: Record<string, (Kind | null)[]> = {
  tagBuild: [null, 'build'],
  untagBuild: [null, 'build'],
  moveBuild: [null, null, 'build'],
  getBuild: ['build'],
  listBuildRPMs: ['build'],
  getRPMDeps: ['rpm'],
  'repo.checkRequest': ['request'],
  ...Object.fromEntries(
    ['getTaskInfo', 'getTaskChildren', 'getTaskDescendents', 'getTaskResult', 'listTaskOutput'].map(
      (name) => [name, ['task']],
    ),
  ),
  downloadTaskOutput: ['task'],
  cancelTask: ['task'],
};
const MEMBERS: Record<string, Kind> = {
  build: 'build',
  taskID: 'task',
  repo_id: 'repo',
  componentBuildrootID: 'buildroot',
};

/** What happened in the lab before a recording, other than through the recorded calls. */
const BEFORE: Record<number, (lab: Lab) => void> = {
  26: (lab) => {
    const failing = lab.world.as('kojiadmin').call('build', 'cli-build/x.src.rpm', 'no-such-target');
    lab.world.tick(10_000);
    lab.ids.task.set(7, Number(failing));
  },
  // Something changes in the gate's tag, so that a new repo is needed.
  43: ({ world }) => {
    world.as('kojiadmin').untagBuild('c9s-gate', 'kernel-6.1.170-47.el9');
    world.as('kojiadmin').tagBuild('c9s-gate', 'kernel-6.1.170-47.el9');
  },
  55: (lab) => lab.ids.build.set(21, lab.world.completeKernel('kernel-6.12.107-1.el9', { tag: 'c9s-gate' })),
  56: (lab) => {
    lab.world.tick(100_000);
    lab.ids.repo.set(3, lab.world.state.repos.length);
  },
  62: (lab) => {
    lab.world.tick(600_000);
    for (const [parent, child] of [
      [74, 77],
      [75, 78],
      [76, 79],
    ] as const)
      mapBuildArch(lab, parent, child);
  },
  83: ({ world }) => world.tick(10_000),
  90: (lab) => lab.ids.build.set(22, lab.world.completeKernel('kernel-6.1.192-56.el9', { tag: 'c9s-gate' })),
  91: ({ world }) => world.tick(10_000),
  92: (lab) => {
    lab.world.tick(100_000);
    lab.ids.repo.set(4, lab.world.state.repos.length);
  },
  94: (lab) => {
    lab.world.tick(600_000);
    for (const [parent, child] of [
      [86, 89],
      [86, 90],
      [88, 91],
      [88, 106],
    ] as const)
      mapBuildArch(lab, parent, child);
    for (const root of [26, 27, 28, 32]) lab.ids.buildroot.set(root, lab.world.state.buildroots.length);
  },
  105: ({ world }) => world.tick(10_000),
  108: ({ world }) => world.tick(10_000),
  113: ({ world }) => world.expireSessions(),
  115: ({ world }) => world.offline('database upgrade, back at 18:00 UTC'),
  116: ({ world }) => world.offline(null),
  117: (lab) => {
    const src = '../packages/kmod-bbswitch/0.8/1.el9/src/kmod-bbswitch-0.8-1.el9.src.rpm';
    lab.ids.task.set(
      109,
      Number(lab.world.as('kmod-gate').call('build', src, 'kmods9s-gate', { scratch: true })),
    );
    lab.ids.task.set(
      110,
      Number(lab.world.as('kojiadmin').call('build', src, 'kmods9s-gate', { scratch: true })),
    );
  },
};

/** Recordings that are not compared, and why. */
const SKIPPED: Record<string, string> = {
  sslLogin: 'a client certificate needs TLS: the simulation logs in with a password here',
};
/** Arguments that cannot stay: the simulation's logs are shorter. */
const TAIL: Record<number, number> = { 28: -50, 68: -500, 80: -500 };

function mapBuildArch(lab: Lab, parent: number, child: number): void {
  const id = lab.ids.task.get(parent);
  const task = lab.world.tasks().find((each) => each.parent === id && each.method === 'buildArch');
  if (task) lab.ids.task.set(child, task.id);
}

function openLab(): Lab {
  const world = createWorld(loadScenario(`${import.meta.dirname}/lab.toml`));
  const kernel = world.build('kernel-6.1.170-47.el9');
  const rpm = (name: string) =>
    world.state.rpms.find((each) => each.name === name && each.arch !== 'src')?.id ?? 0;
  const task = kernel?.task_id ?? 0;
  const ids = {
    build: new Map([[2, kernel?.id ?? 0]]),
    task: new Map([
      [9, task],
      [10, task + 1],
    ]),
    repo: new Map<number, number>(),
    request: new Map<number, number>(),
    rpm: new Map([
      [5, rpm('kernel-devel')],
      [9, rpm('kmod-bbswitch')],
    ]),
    buildroot: new Map<number, number>(),
  };
  return { world, ids, sessions: new Map() };
}

function translate(lab: Lab, method: string, params: readonly XmlValue[]): XmlValue[] {
  return params.map((value, i) => {
    const kind = POSITIONAL[method]?.[i];
    if (typeof value === 'number' && kind) return lab.ids[kind].get(value) ?? value;
    return method === 'multiCall' ? innerCalls(lab, value) : members(lab, value);
  });
}

function innerCalls(lab: Lab, calls: XmlValue): XmlValue {
  return (calls as { methodName: string; params: XmlValue[] }[]).map((call) => ({
    methodName: call.methodName,
    params: translate(lab, call.methodName, call.params),
  }));
}

function members(lab: Lab, value: XmlValue): XmlValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const kind = MEMBERS[name];
      return [name, kind && typeof member === 'number' ? (lab.ids[kind].get(member) ?? member) : member];
    }),
  );
}

/** The simulated hub's reply, as it would travel. */
function replay(lab: Lab, number: number, recording: Recording): string {
  const { method, params } = decodeCall(recording.request);
  const session = claimOf(lab, recording);
  const asked = translate(lab, method, params);
  const tail = TAIL[number];
  if (tail !== undefined) asked[2] = { offset: tail, size: -tail, __starstar: true };
  try {
    return encodeResponse(lab.world.call({ method, params: asked, ...(session ? { session } : {}) }));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return encodeFault(error.code, error.text);
  }
}

function claimOf(lab: Lab, { request_headers: headers }: Recording): SessionClaim | undefined {
  const id = headers['Koji-Session-Id'];
  if (id === undefined) return undefined;
  const known = lab.sessions.get(Number(id)) ?? { id: Number(id), key: 'bogus' };
  return { ...known, callnum: Number(headers['Koji-Session-Callnum']) };
}

function logIn(lab: Lab, recording: Recording): void {
  const user = recording.user ?? '';
  const reply = lab.world.call({ method: 'login', params: [user, PASSWORDS[user] ?? ''] }) as Record<
    string,
    XmlValue
  >;
  const recorded = decodeResponse(recording.response) as Record<string, XmlValue>;
  const claim = { id: Number(reply['session-id']), key: String(reply['session-key']), callnum: null };
  lab.sessions.set(Number(recorded['session-id']), claim);
}

/** Calls that make something tell its id, by which later recordings speak of it. */
function learn(lab: Lab, recording: Recording, reply: string): void {
  if (
    ['build', 'tagBuild', 'moveBuild'].includes(recording.method) &&
    !recording.response.includes('<fault>')
  ) {
    lab.ids.task.set(Number(decodeResponse(recording.response)), Number(decodeResponse(reply)));
  }
  if (recording.method !== 'repo.request') return;
  const [before, now] = [recording.response, reply].map(
    (xml) => decodeResponse(xml) as { request: { id: number } },
  );
  if (before && now) lab.ids.request.set(before.request.id, now.request.id);
}

describe('recordings of a real hub', () => {
  const lab = openLab();
  for (const [number, recording] of recordings) {
    const name = `${String(number).padStart(3, '0')} ${recording.method} ${recording.note}`.trim();
    it(name, ({ skip }) => {
      BEFORE[number]?.(lab);
      if (recording.method in SKIPPED) {
        logIn(lab, recording);
        skip(SKIPPED[recording.method]);
      }
      const reply = replay(lab, number, recording);
      expect(differences(shapeOf(recording.response), shapeOf(reply))).toEqual([]);
      learn(lab, recording, reply);
    });
  }
});
