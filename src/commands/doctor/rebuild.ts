/** Where kmods are built for real after a promotion, and whether Koji would take the builds: see docs/rebuilds.md. */
import type { Gate, Rebuilding } from '../../core/model.ts';
import { selectKmods } from '../../core/select.ts';
import { plural } from '../../core/wording.ts';
import * as koji from '../../koji/calls.ts';
import { type Hub, unwrap } from '../../koji/hub.ts';
import { ASK, attempt, type Check, info, list, ok, unsure, wrong } from './check.ts';
import type { KnownHub } from './hub.ts';

/** A kmod that may have to be rebuilt, and the build that it has now. */
interface Kmod {
  readonly name: string;
  readonly release: string;
  readonly scm: string | undefined;
}

export async function examineRebuild(known: KnownHub, gate: Gate, area: string): Promise<Check[]> {
  const { hub, features } = known;
  const { rebuild } = gate;
  if (!rebuild) return [];
  const target = await attempt(hub.read(koji.getBuildTarget(rebuild.target)));
  if (!target.ok) {
    const mend = `koji add-target ${rebuild.target} BUILD-TAG DEST-TAG, or mend on_pass.rebuild.target`;
    return [wrong(area, `rebuild target ${rebuild.target}: ${target.error.message}`, mend)];
  }
  const { build_tag_name: buildTag, dest_tag_name: dest } = target.value;
  const drafts = 'on_pass.rebuild.draft is true, and the hub has no drafts (they came with Koji 1.34)';
  const kmods = await attempt(readKmods(hub, gate));
  return [
    await examineSight(hub, gate, area, rebuild.target, buildTag),
    ...(rebuild.draft && !features.drafts ? [wrong(area, drafts, 'set on_pass.rebuild.draft = false')] : []),
    ...(kmods.ok ? await examineBuilds(known, rebuild, area, { buildTag, dest }, kmods.value) : []),
  ];
}

/** Its build roots must hold the kernel that has passed. */
async function examineSight(
  hub: Hub,
  { on_pass }: Gate,
  area: string,
  target: string,
  buildTag: string,
): Promise<Check> {
  const parents = await attempt(hub.read(koji.getFullInheritance(buildTag)));
  if (!parents.ok) return wrong(area, `inheritance of ${buildTag}: ${parents.error.message}`, ASK);
  const visible = [buildTag, ...parents.value.map((ancestor) => ancestor.name)];
  const what = `rebuild target ${target} builds in ${buildTag}`;
  const seen = on_pass.tag.find((tag) => visible.includes(tag));
  if (seen) return ok(area, `${what}, which sees ${seen}`);
  const mend = `koji add-tag-inheritance ${buildTag} ${on_pass.tag[0] ?? 'TAG'}; until then rebuilds wait for a kernel that never comes`;
  return wrong(area, `${what}, which sees no tag that a kernel passes into`, mend);
}

/** Throws HubError. */
async function readKmods(hub: Hub, gate: Gate): Promise<Kmod[]> {
  const chosen = selectKmods(gate, await hub.read(koji.listTagged(gate.kmods.tag, { latest: true })));
  const builds = await hub.readAll(chosen.map(({ buildId }) => koji.getBuild(buildId)));
  return builds.flatMap((answer) => {
    const build = unwrap(answer);
    return build ? [{ name: build.name, release: build.release, scm: koji.scmOf(build) }] : [];
  });
}

const some = (kmods: readonly Kmod[]): string =>
  `${plural(kmods.length, 'kmod')} (${list(kmods.map(({ name }) => name))})`;

/** A release is built once; a source rpm is built for real where a policy says so; and the destination lists the package. */
async function examineBuilds(
  { hub, user }: KnownHub,
  { target, branch }: Rebuilding,
  area: string,
  { buildTag, dest }: { readonly buildTag: string; readonly dest: string },
  kmods: readonly Kmod[],
): Promise<Check[]> {
  if (kmods.length === 0) return [];
  const [config, ...listed] = await hub.readAll([
    koji.getBuildConfig(buildTag),
    ...kmods.map(({ name }) => koji.checkTagPackage(dest, name)),
  ]);
  const isListed = (i: number) => listed[i]?.ok === false || listed[i]?.value !== false;
  const unlisted = kmods.filter((_, i) => !isListed(i));
  const fromRpm = kmods.filter(({ scm }) => scm === undefined);
  const again = branch === undefined ? kmods : fromRpm;
  const dist = config?.ok ? config.value.extra['rpm.macro.dist'] : undefined;
  const checks: Check[] = [];
  if (unlisted.length > 0) {
    const mend = `koji add-pkg --owner OWNER ${dest} ${unlisted.map(({ name }) => name).join(' ')}`;
    checks.push(wrong(area, `${dest}, where rebuilds go, does not list ${some(unlisted)}`, mend));
  }
  if (branch !== undefined && again.length < kmods.length) {
    const what = `${some(kmods.filter(({ scm }) => scm !== undefined))} are rebuilt from the head of ${branch}`;
    checks.push(info(area, what, 'their release must have been bumped there, or the hub refuses the build'));
  }
  if (again.length > 0) checks.push(describeDist(area, buildTag, dist, again));
  if (fromRpm.length > 0) {
    const what = `whether it may make real builds of source rpms, as of ${some(fromRpm)}`;
    const rule = `user ${user?.name ?? 'GATE-USER'} && target ${target} :: allow`;
    const mend = `the hub does not tell; its build_from_srpm policy, which by default lets admins alone, needs a rule like "${rule}" (docs/rebuilds.md)`;
    checks.push(unsure(area, what, mend));
  }
  return checks;
}

/** The same sources make another release only where `%dist` is another one. */
function describeDist(area: string, buildTag: string, dist: unknown, again: readonly Kmod[]): Check {
  const mend = `koji edit-tag ${buildTag} -x rpm.macro.dist=.NEW_DIST, or set on_pass.rebuild.branch and bump releases there (docs/rebuilds.md)`;
  if (typeof dist !== 'string') {
    const what = `${buildTag} sets no %dist: whether a rebuild of the same sources gets another release than ${some(again)} have`;
    return unsure(area, what, mend);
  }
  const same = again.filter(({ release }) => release.endsWith(dist));
  const what = `${buildTag} makes %dist ${dist}`;
  if (same.length === 0)
    return ok(area, `${what}, which no kmod that is rebuilt from the same sources has yet`);
  return wrong(area, `${what}, as ${some(same)} have it: Koji builds no release twice`, mend);
}
