/** Whether a scenario goes together: its names, and what its tags take. */
import { type Finding, unknownName } from '../config/mistakes.ts';
import { rpmsOf } from './rpms.ts';
import type { Kernel, Kmod, Scenario, ScenarioFile } from './scenario.ts';

/** Whatever a scenario names must be there, once: a typing error would otherwise show as odd behaviour. */
export function checkNames(scenario: Scenario): Finding[] {
  const { users, policy, targets, kernels, kmods, rules, broken_repos } = scenario;
  const tags = scenario.tags.map(({ name }) => name);
  const people = users.map(({ name }) => name);
  const lacks = (
    known: readonly string[],
    what: string,
    where: string,
    path: Finding['path'],
    names: readonly string[],
  ) =>
    names.flatMap((name, i) =>
      known.includes(name) ? [] : [unknownName([...path, i], where, what, name, known)],
    );
  const builds = [
    ...kernels.map((build, i) => ({ build, path: ['kernels', i, 'tags'] })),
    ...kmods.map((build, i) => ({ build, path: ['kmods', i, 'tags'] })),
  ];
  /** A name without a wildcard is meant to be of something that is there. */
  const exact = (
    known: readonly string[],
    what: string,
    path: Finding['path'],
    pattern: string | undefined,
  ) =>
    pattern === undefined || /[*?]/.test(pattern) || known.includes(pattern)
      ? []
      : [unknownName(path, '', what, pattern, known)];
  const unreadable = (build: Kernel | Kmod, path: Finding['path']) => {
    const rpms = scenario.arches.flatMap((arch) => rpmsOf(build, arch, kernels));
    const made = new Set(rpms.flatMap(({ name, arch }) => [name, `${name}.${arch}`]));
    return lacks([...made], 'rpm', build.nvr, [...path, 'unreadable'], build.unreadable ?? []);
  };
  return [
    ...twice(['users'], people),
    ...twice(['tags'], tags),
    ...twice(
      ['targets'],
      targets.map(({ name }) => name),
    ),
    ...twice(
      ['kernels'],
      kernels.map(({ nvr }) => nvr),
    ),
    ...twice(
      ['kmods'],
      kmods.map(({ nvr }) => nvr),
    ),
    ...scenario.tags.flatMap(({ name, inherits }, i) => [
      ...lacks(tags, 'tag', `tag ${name}`, ['tags', i, 'inherits'], inherits),
      ...inherits
        .filter((parent) => tags.indexOf(parent) >= i)
        .map((parent) => ({
          path: ['tags', i, 'inherits'],
          message: `tag ${name} inherits from ${parent}, which comes after it; put ${parent} before it`,
        })),
    ]),
    ...targets.flatMap(({ name, build_tag, dest_tag }, i) =>
      Object.entries({ build_tag, dest_tag }).flatMap(([key, tag]) =>
        tags.includes(tag) ? [] : [unknownName(['targets', i, key], `target ${name}`, 'tag', tag, tags)],
      ),
    ),
    ...builds.flatMap(({ build, path }) => lacks(tags, 'tag', build.nvr, path, build.tags)),
    ...kmods.flatMap(({ nvr, built_for = [] }, i) => {
      const known = kernels.map((kernel) => kernel.nvr);
      return lacks(known, 'kernel', nvr, ['kmods', i, 'built_for'], built_for);
    }),
    ...[...kernels.entries()].flatMap(([i, it]) => unreadable(it, ['kernels', i])),
    ...[...kmods.entries()].flatMap(([i, it]) => unreadable(it, ['kmods', i])),
    ...lacks(tags, 'tag', '', ['broken_repos'], broken_repos),
    ...Object.keys(policy.tag)
      .filter((user) => !people.includes(user))
      .map((user) => unknownName(['policy', 'tag', user], 'policy', 'user', user, people)),
    ...lacks(people, 'user', 'policy', ['policy', 'repo_id'], policy.repo_id),
    ...lacks(people, 'user', 'policy', ['policy', 'srpm'], policy.srpm ?? []),
    ...rules.flatMap(({ kmod, kernel, tag, after = 0, before = null }, i) => [
      ...(before !== null && before <= after
        ? [
            {
              path: ['rules', i, 'before'],
              message: 'is over before it begins; give a later time than "after"',
            },
          ]
        : []),
      ...exact(
        kmods.map(({ name }) => name),
        'kmod',
        ['rules', i, 'kmod'],
        kmod,
      ),
      ...exact(
        kernels.map(({ nvr }) => nvr),
        'kernel',
        ['rules', i, 'kernel'],
        kernel,
      ),
      ...exact(tags, 'tag', ['rules', i, 'tag'], tag),
    ]),
  ];
}

function twice(path: Finding['path'], names: readonly string[]): Finding[] {
  return names.flatMap((name, i) =>
    names.indexOf(name) === i
      ? []
      : [{ path: [...path, i], message: `${name} is there twice; take one out` }],
  );
}

/** Koji takes a build only into tags that list its package, or inherit the list: builds of the start, and of the play. */
export function checkPackages({ scenario, play }: Pick<ScenarioFile, 'scenario' | 'play'>): Finding[] {
  const byName = new Map(scenario.tags.map((tag) => [tag.name, tag]));
  /** Whether the nearest list that has it takes it; undefined where none has it. */
  const takes = (name: string, pkg: string): boolean | undefined => {
    const tag = byName.get(name);
    if (tag?.blocked.includes(pkg)) return false;
    if (tag?.packages.includes(pkg)) return true;
    for (const parent of tag?.inherits ?? []) {
      const found = takes(parent, pkg);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const refused = (path: Finding['path'], pkg: string, tag: string): Finding[] => {
    const takesIt = takes(tag, pkg);
    if (takesIt) return [];
    return takesIt === false
      ? [{ path, message: `package ${pkg} is blocked in ${tag}; take it out of "blocked"` }]
      : [{ path, message: `package ${pkg} is not in the list of ${tag}; add it to "packages" of that tag` }];
  };
  const builds = [
    ...scenario.kernels.map(({ name, tags, built }, i) => ({
      name,
      tags: built ? tags : [],
      at: ['kernels', i],
    })),
    ...scenario.kmods.map(({ name, tags }, i) => ({ name, tags, at: ['kmods', i] })),
  ];
  const nameOf = (kernel: string) => scenario.kernels.find(({ nvr }) => nvr === kernel)?.name ?? kernel;
  return [
    ...builds.flatMap(({ name, tags, at }) =>
      tags.flatMap((tag, i) => refused([...at, 'tags', i], name, tag)),
    ),
    ...play.flatMap(({ act, index }) =>
      act.kind === 'complete' && act.tag !== null
        ? refused(['play', index, 'tag'], nameOf(act.kernel), act.tag)
        : [],
    ),
  ];
}
