/**
 * Whether the hub lets the gate do what it must. A tag's lock and permission the hub tells, its policies it does not;
 * what it said to a gate last counts. Policies bind admins too: the hub lets one pass only where the call says `force`
 * (`kojihub.check_policy`), which the gate never does, and the policies of builds and side tags know no force at all
 * (`createSideTag` of the sidetag plugin, `host.assertPolicy` in kojid).
 */

import type { Building, Gate, Write } from '../../core/model.ts';
import { planTagChanges } from '../../core/tags.ts';
import { describeWrite } from '../../core/wording.ts';
import * as koji from '../../koji/calls.ts';
import { dateTime } from '../text.ts';
import { ASK, attempt, type Check, info, ok, unsure, wrong } from './check.ts';
import { type Account, isAdmin, type KnownHub } from './hub.ts';
import type { Deed, Past } from './past.ts';
import { changedTags, type Tags } from './tags.ts';
import type { BuildTag } from './target.ts';

/** Something that a policy of the hub decides on. */
interface Deal {
  /** Such as `tag the kernel into c9s-blocked`. */
  readonly what: string;
  /** The rule that lets the gate do it. */
  readonly mend: string;
  /** Whether a write of the past was of this kind. */
  readonly isLike: (write: Write) => boolean;
}

/** What the hub admin writes into `[policy]` of the hub's configuration. */
const needs = (policy: string, rule: string): string =>
  `the hub does not tell; its ${policy} policy needs a rule like "${rule} :: allow" (deploy/koji-setup.md)`;

export async function examineRights(
  known: KnownHub,
  gate: Gate,
  area: string,
  tags: Tags,
  buildTag: BuildTag | undefined,
  past: Past,
): Promise<Check[]> {
  const { user } = known;
  if (!user) return [];
  const deeds = past.deeds.filter((deed) => deed.gate === gate.name);
  const describe = (deal: Deal) => describeDeal(deal, area, user, deeds);
  const { build } = gate;
  return [
    ...(build ? describePriority(build, area, user) : []),
    ...(await examineAccess(known, gate, area, tags, user)),
    ...tagDeals(gate, user).map(describe),
    ...(build ? [describe(buildDeal(build, user))] : []),
    ...(build?.repo === 'pin' ? [describe(pinDeal(user))] : []),
    ...(build?.repo === 'sidetag' ? await examineSideTags(known, gate, area, buildTag, user, describe) : []),
  ];
}

function describeDeal(
  { what, mend, isLike }: Deal,
  area: string,
  user: Account,
  deeds: readonly Deed[],
): Check {
  const deed = deeds.find(({ write }) => isLike(write));
  if (deed?.refused !== undefined) {
    const why = `may not ${what}: refused for ${deed.kernel} on ${dateTime(deed.at)}: ${deed.refused}`;
    return wrong(area, why, mend);
  }
  if (deed) return ok(area, `may ${what}: did so for ${deed.kernel} on ${dateTime(deed.at)}`);
  return unsure(area, `whether it may ${what}${isAdmin(user) ? '; policies bind admins too' : ''}`, mend);
}

function describePriority({ priority }: Building, area: string, user: Account): Check[] {
  if (priority >= 0) return [];
  const what = `build.priority is ${priority}`;
  if (isAdmin(user)) return [ok(area, `${what}: ${user.name} is an admin`)];
  const why = `${what}, and only admins may go below zero: the hub refuses every build`;
  return [wrong(area, why, 'set build.priority to 0 or more')];
}

/** Locks have their own line. A permission of a tag binds admins too. */
async function examineAccess(
  { hub }: KnownHub,
  gate: Gate,
  area: string,
  tags: Tags,
  user: Account,
): Promise<Check[]> {
  if (gate.mode === 'observe') return [info(area, 'observe mode: no tag is changed')];
  const checks: Check[] = [];
  for (const name of changedTags(gate)) {
    const tag = tags.get(name);
    if (!tag || tag.locked) continue;
    const access = await attempt(hub.write(koji.checkTagAccess(name)));
    if (!access.ok) checks.push(wrong(area, `access to ${name}: ${access.error.message}`, ASK));
    else if (!access.value.allowed) {
      const mend = tag.perm ? mendOfPermission(name, tag.perm, user) : ASK;
      checks.push(wrong(area, `no access to ${name}: ${access.value.reason}`, mend));
    }
  }
  return checks;
}

/** Nobody should become an admin for the sake of one tag. */
function mendOfPermission(tag: string, perm: string, user: Account): string {
  if (perm !== 'admin') return `koji grant-permission ${perm} ${user.name}`;
  return `koji edit-tag --no-perm ${tag}, so that the hub's tag policy decides, or --perm with a permission made for it; do not make ${user.name} an admin`;
}

const kernels = (gate: Gate) => `package ${gate.kernels.join(' ')}`;

/** The tag changes of both verdicts, as for a kernel that is in all the tags that it may leave. */
function tagDeals(gate: Gate, { name }: Account): Deal[] {
  if (gate.mode === 'observe') return [];
  const writes = [gate.on_pass, gate.on_fail].flatMap((change) => planTagChanges(change, change.untag));
  const byWords = new Map(writes.map((write) => [describeWrite(write), write]));
  return [...byWords].map(([what, write]) => ({
    what,
    mend: needs(
      'tag',
      write.kind === 'tag'
        ? `user ${name} && ${kernels(gate)} && tag ${write.tag}`
        : `user ${name} && ${kernels(gate)} && operation untag && fromtag ${write.tag}`,
    ),
    isLike: (other) => describeWrite(other) === what,
  }));
}

const buildDeal = ({ target }: Building, { name }: Account): Deal => ({
  what: `make scratch builds in ${target}`,
  mend: `Koji lets everybody; where the hub has a build_rpm policy of its own, that needs a rule like "user ${name} && bool scratch :: allow"`,
  isLike: ({ kind }) => kind === 'scratch-build',
});

const pinDeal = ({ name }: Account): Deal => ({
  what: 'name the repo that a build uses (repo = "pin")',
  mend: needs('build_from_repo_id', `user ${name}`),
  isLike: (write) => write.kind === 'scratch-build' && write.repoId !== undefined,
});

async function examineSideTags(
  { hub, features }: KnownHub,
  gate: Gate,
  area: string,
  base: BuildTag | undefined,
  user: Account,
  describe: (deal: Deal) => Check,
): Promise<Check[]> {
  if (!features.sideTags) {
    const mend =
      'have the sidetag plugin enabled on the hub (Plugins in hub.conf), or set build.repo = "wait"';
    return [wrong(area, 'build.repo is "sidetag", and the hub has no side tags', mend)];
  }
  if (!base) return [];
  const own = await attempt(hub.read(koji.listSideTags({ basetag: base.name, user: user.name })));
  const [one] = own.ok ? own.value : [];
  const create: Deal = {
    what: `create side tags of ${base.name}`,
    mend: needs('sidetag', `user ${user.name} && tag ${base.name}`),
    isLike: (write) => write.kind === 'create-side-tag' && write.base === base.name,
  };
  const fill: Deal = {
    what: 'tag the kernel into its side tags',
    mend: needs('tag', `user ${user.name} && ${kernels(gate)} && tag ${base.name}-side-*`),
    isLike: (write) => write.kind === 'tag' && !changedTags(gate).includes(write.tag),
  };
  const made = one ? ok(area, `may ${create.what}: ${user.name} has ${one.name}`) : describe(create);
  return [made, describe(fill)];
}
