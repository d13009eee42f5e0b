/** The tags of a gate: there, not locked where they change, and with the kernels' packages listed. */
import type { Gate } from '../../core/model.ts';
import * as koji from '../../koji/calls.ts';
import type { Hub } from '../../koji/hub.ts';
import { type Check, ok, wrong } from './check.ts';
import type { BuildTag } from './target.ts';

/** The tags that there are, by name. */
export type Tags = ReadonlyMap<string, koji.Tag>;

/** Tags that a verdict puts kernels into or takes them out of. */
export function changedTags({ on_pass, on_fail }: Gate): string[] {
  return [...new Set([on_pass, on_fail].flatMap(({ tag, untag }) => [...tag, ...untag]))];
}

export async function examineTags(hub: Hub, gate: Gate, area: string): Promise<[Check[], Tags]> {
  const names = [...new Set([gate.watch, gate.kmods.tag, ...changedTags(gate)])];
  const answers = await hub.readAll(names.map((name) => koji.getTag(name)));
  const tags = new Map(answers.flatMap((answer) => (answer.ok ? [[answer.value.name, answer.value]] : [])));
  const checks = answers.map((answer, i) => {
    const name = names[i] ?? '';
    if (answer.ok) return describeTag(gate, area, answer.value);
    return wrong(area, `tag ${name}: ${answer.error.message}`, `koji add-tag ${name}, or mend the name`);
  });
  return [checks, tags];
}

/** Nothing comes into a locked tag, and nothing leaves it. */
function describeTag(gate: Gate, area: string, { name, locked }: koji.Tag): Check {
  if (!locked) return ok(area, `tag ${name}`);
  const mend = `koji edit-tag --unlock ${name}, or choose another tag`;
  if (name === gate.watch) return wrong(area, `tag ${name} is locked: no kernel comes into it`, mend);
  if (gate.mode === 'enforce' && changedTags(gate).includes(name)) {
    return wrong(area, `tag ${name} is locked`, mend);
  }
  return ok(area, `tag ${name}; it is locked, which does no harm: the gate only reads it`);
}

/**
 * A tag takes only builds of packages that are listed in it, and shows no others; a build tag too. For kmods no list
 * counts: a scratch build goes into no tag.
 */
export async function examinePackages(
  hub: Hub,
  gate: Gate,
  area: string,
  tags: Tags,
  buildTag: BuildTag | undefined,
): Promise<Check[]> {
  const verdicts = [...gate.on_pass.tag, ...gate.on_fail.tag];
  const names = new Set([gate.watch, ...verdicts].filter((name) => tags.has(name)));
  // One that inherits nothing has its own line.
  if (buildTag?.sees) names.add(buildTag.name);
  const pairs = [...names].flatMap((tag) => gate.kernels.map((kernel) => ({ tag, kernel })));
  const answers = await hub.readAll(pairs.map(({ tag, kernel }) => koji.checkTagPackage(tag, kernel)));
  return answers.map((answer, i) => {
    const { tag = '', kernel = '' } = pairs[i] ?? {};
    if (answer.ok && answer.value) return ok(area, `package ${kernel} is listed in ${tag}`);
    const why = answer.ok ? `package ${kernel} is not listed in ${tag}, or blocked` : answer.error.message;
    return wrong(
      area,
      why,
      `koji add-pkg --owner OWNER ${tag} ${kernel} lists it; where it is blocked (koji list-pkgs --show-blocked --tag ${tag} --package ${kernel}), only koji unblock-pkg ${tag} ${kernel}`,
    );
  });
}
