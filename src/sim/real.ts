/** Real builds: from which sources, under which name, and what Koji refuses (kojid's BuildTask, the hub's new_build). */
import { Fault, type XmlStruct } from '../koji/xmlrpc.ts';
import type { Kmod, Scenario } from './scenario.ts';
import {
  BUILD,
  digest,
  FAULT,
  findBuild,
  hasPerm,
  type State,
  type Tag,
  type Task,
  userOf,
} from './state.ts';
import { lineage, packageStatus } from './tags.ts';

const SCM = /^(?:git|svn|cvs)(?:\+\w+)?:\/\//;

/** Whether Koji takes a source for a place in version control, and else for a path below its work folder. */
export const isScm = (src: string): boolean => SCM.test(src);

/** The kmod whose source this is: a path of a source rpm, a commit, or a repository called like the package. */
export function kmodFromSource({ scenario: { kmods } }: State, src: string): Kmod | undefined {
  const [place = '', commit] = src.split('#');
  const last = place.split('?')[0]?.split('/').at(-1) ?? '';
  if (!isScm(src)) {
    const rpm = /^(.+-[^-]+)-[^-]+\.src\.rpm$/.exec(last)?.[1];
    const exact = kmods.find((kmod) => `${kmod.nvr}.src.rpm` === last);
    return exact ?? kmods.findLast(({ name, version }) => `${name}-${version}` === rpm);
  }
  const there = kmods.filter((kmod) => kmod.name === last.replace(/\.git$/, ''));
  return there.find(({ nvr }) => digest(nvr) === commit) ?? there.at(-1);
}

/** What a real build makes: a kmod's sources under a release of its own, from there. */
export interface Made {
  readonly kmod: Kmod;
  readonly release: string;
  readonly source: string;
  readonly draft: boolean;
}

/** The end of a release that `%dist` stands for. */
const DIST = /\.(?:el|fc)\d\S*$/;

/** The release is that of the commit, or of the branch's head; and its end is what the build tag makes of `%dist`. */
export function madeOf(state: State, task: Task, tag: Tag, opts: XmlStruct): Made | undefined {
  const src = String(task.request[0]);
  const kmod = kmodFromSource(state, src);
  if (kmod === undefined) return undefined;
  const isHead = isScm(src) && src.split('#')[1] !== digest(kmod.nvr);
  const written = (isHead && kmod.head) || kmod.release;
  const dist = lineage(state, tag).flatMap(({ extra }) => extra['rpm.macro.dist'] ?? [])[0];
  const release = dist === undefined ? written : written.replace(DIST, String(dist));
  const source = isScm(src) ? src : `${kmod.nvr}.src.rpm`;
  return { kmod, release, source, draft: opts['draft'] === true };
}

/**
 * The hub's policies for what a build names: a repo, a source rpm that is to be imported. Throws fault 1004. Koji's own
 * rules let admins; a hub's rules bind them like everybody, unless they say otherwise.
 */
export function assertBuildPolicies(state: State, task: Task, opts: XmlStruct): void {
  const { policy } = state.scenario;
  if (!isScm(String(task.request[0])) && !opts['scratch']) assertPolicy('build_from_srpm', policy.srpm ?? []);
  if (typeof opts['repo_id'] === 'number') assertPolicy('build_from_repo_id', policy.repo_id);

  function assertPolicy(name: string, users: Scenario['policy']['repo_id']): void {
    const owner = userOf(state, task.owner);
    const isDefault = users.length === 0;
    if ((isDefault || policy.admins) && hasPerm(owner, 'admin')) return;
    if (users.includes(owner.name)) return;
    const why = isDefault ? ': Only admin can do this via default policy' : '';
    throw new Fault(FAULT.NOT_ALLOWED, `policy violation (${name})${why}`);
  }
}

/** Whether what was made may be imported into the target's destination. Throws as kojid and the hub's initBuild do. */
export function assertImportable(state: State, dest: Tag, { kmod, release, draft }: Made): void {
  const { name, version } = kmod;
  const status = packageStatus(state, dest, name);
  if (status === 'unlisted') throw new Fault(FAULT.BUILD, `package ${name} not in list for tag ${dest.name}`);
  if (status === 'blocked') throw new Fault(FAULT.BUILD, `package ${name} is blocked for tag ${dest.name}`);
  const nvr = `${name}-${version}-${release}`;
  const old = findBuild(state, nvr);
  if (!old) return;
  if (draft) throw new Fault(FAULT.GENERIC, `Target build already exists: ${nvr} (id=${old.id})`);
  const found = old.state === BUILD.COMPLETE ? 'COMPLETE' : 'BUILDING';
  const data = `{'name': '${name}', 'version': '${version}', 'release': '${release}', 'epoch': None}`;
  throw new Fault(FAULT.GENERIC, `Build already exists (id=${old.id}, state=${found}): ${data}`);
}
