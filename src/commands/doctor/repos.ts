/** Whether a kernel would come into a build root: repos of the build tag are made, and builders are there for it. */
import { TASK } from '../../core/model.ts';
import { plural } from '../../core/wording.ts';
import * as koji from '../../koji/calls.ts';
import { dateTime } from '../text.ts';
import { ASK, attempt, type Check, ok, unsure, wrong } from './check.ts';
import { describeHosts, type KnownHub } from './hub.ts';
import type { BuildTag } from './target.ts';

const HOUR = 3_600_000;
/** So many failures one after the other are no accident. */
const FAILURES = 3;

export async function examineRepos(known: KnownHub, area: string, tag: BuildTag): Promise<Check[]> {
  return [
    ...describeBuilders(known, area, tag),
    await examineNewest(known, area, tag),
    ...describeFailures(known, area, tag),
  ];
}

function describeBuilders({ hosts }: KnownHub, area: string, { name, arches }: BuildTag): Check[] {
  if (arches.length === 0) {
    const mend = `koji edit-tag --arches "x86_64 aarch64" ${name}`;
    return [wrong(area, `${name} has no architectures, so every build fails`, mend)];
  }
  return [...new Set(arches.map(canonArch))].map((arch) => {
    const fit = hosts.ok
      ? { ok: true as const, value: hosts.value.filter((host) => host.arches?.split(/\s+/).includes(arch)) }
      : hosts;
    const others = arches.filter((other) => canonArch(other) !== arch).join(' ');
    const without = others && `; or build without it: koji edit-tag --arches "${others}" ${name}`;
    const mend = `koji enable-host HOST, or koji add-host HOST ${arch}${without}`;
    return describeHosts(area, arch, fit, mend);
  });
}

/** The architecture that Koji gives a task (koji.canonArch); most are their own. */
function canonArch(arch: string): string {
  if (/^(i.86|athlon)$/.test(arch)) return 'i386';
  if (arch === 'ia32e') return 'x86_64';
  if (/^ppc64(?!le$)/.test(arch)) return 'ppc64';
  if (/^arm.*h/.test(arch)) return 'armhfp';
  return arch;
}

/** From Koji 1.35 a repo is made when a build asks for it; before, kojira must see that the tag has changed. */
async function examineNewest({ hub, features }: KnownHub, area: string, tag: BuildTag): Promise<Check> {
  const answer = await attempt(hub.read(koji.getRepo(tag.name)));
  if (!answer.ok) return wrong(area, `repos of ${tag.name}: ${answer.error.message}`, ASK);
  const repo = answer.value;
  const mend = `koji regen-repo ${tag.name}, and see that kojira runs`;
  if (!repo) {
    const none = `${tag.name} has no repo yet`;
    if (features.repoRequests) return ok(area, `${none}; one is made when a build asks for it`);
    return wrong(area, `${none}: kojira makes none`, mend);
  }
  const what = `newest repo of ${tag.name} is ${repo.id}, made ${dateTime(repo.create_ts * 1000)}`;
  if (features.repoRequests) return ok(area, `${what}; others are made when a build asks for them`);
  const hourAgo = Date.now() + (hub.skew() ?? 0) - HOUR;
  const stale = await attempt(staleSince(hub, tag, repo, hourAgo));
  if (!stale.ok) return unsure(area, `${what}; whether it is current: ${stale.error.message}`, ASK);
  if (stale.value === 'long') {
    return wrong(area, `${what}, and the tag changed more than an hour ago: kojira makes no new one`, mend);
  }
  if (stale.value === 'lately') {
    const later = `kojira may be at it: look again in an hour, or ${mend}`;
    return unsure(area, `${what}, and the tag has changed since`, later);
  }
  return ok(area, `${what}, and the tag has not changed since`);
}

/** Whether a repo lacks changes of its tag, and whether all of them are older than `hourAgo`. Throws HubError. */
async function staleSince(
  hub: KnownHub['hub'],
  tag: BuildTag,
  repo: koji.Repo,
  hourAgo: number,
): Promise<'no' | 'lately' | 'long'> {
  const tags = [tag.id, ...tag.ancestors.map(({ parent_id }) => parent_id)];
  if (!(await hub.read(koji.tagChangedSinceEvent(repo.create_event, tags)))) return 'no';
  const before = await attempt(hub.read(koji.getLastEvent(hourAgo / 1000)));
  if (!before.ok || before.value.id <= repo.create_event) return 'lately';
  return (await hub.read(koji.tagChangedSinceEvent(before.value.id, tags))) ? 'lately' : 'long';
}

/** The tag's own newRepo tasks tell most; where it has had none, those of all tags. */
function describeFailures({ newRepos }: KnownHub, area: string, tag: BuildTag): Check[] {
  if (!newRepos.ok) return [unsure(area, `newRepo tasks: ${newRepos.error.message}`, ASK)];
  const own = newRepos.value.filter((task) => isAbout(task, tag));
  const newest = (own.length > 0 ? own : newRepos.value).slice(0, FAILURES);
  const [last] = newest;
  if (!last) return [];
  const whose = own.length > 0 ? tag.name : 'other tags';
  if (newest.every(({ state }) => state === TASK.FAILED)) {
    const mend = `koji taskinfo -v ${last.id} says why; then koji regen-repo ${tag.name}`;
    const failed = `the newest ${plural(newest.length, 'newRepo task')} of ${whose} failed: task ${last.id}`;
    return [wrong(area, failed, mend)];
  }
  const ended = newest.find(({ state }) => state === TASK.CLOSED);
  const when = ended?.completion_ts ? ` ${dateTime(ended.completion_ts * 1000)}` : '';
  return [ok(area, `a newRepo task of ${whose} ended well${when}: task ${ended?.id}`)];
}

/** The hub's own requests name the tag by a struct, people by its name or id. */
function isAbout({ request }: koji.TaskInfo, { id, name }: BuildTag): boolean {
  const wanted = request?.[0];
  if (typeof wanted !== 'object' || wanted === null) return wanted === name || wanted === id;
  return 'id' in wanted && wanted.id === id;
}
