/** What `doctor` says of real rebuilds after a promotion (docs/rebuilds.md). */
import { afterEach, describe, expect, test } from 'vitest';
import type { Rebuilding } from '../../src/core/model.ts';
import type { Scenario } from '../../src/sim/scenario.ts';
import { closeHubs, linesOf } from './doctor-setup.ts';

afterEach(closeHubs);

const scm = (name: string) => `git+https://git.example.org/kmods/${name}`;

/** A target of which the build tag sees what has passed, and where %dist is as given. */
const withTarget =
  (dist: string | null, more: Partial<Scenario> = {}) =>
  (small: Scenario): Scenario => {
    const tag = { packages: [], blocked: [], locked: false, perm: null, arches: [] };
    return {
      ...small,
      tags: [...small.tags, { ...tag, name: 'released-build', inherits: ['c9s-candidate'], dist }],
      targets: [
        ...small.targets,
        { name: 'kmods9s', build_tag: 'released-build', dest_tag: 'kmods9s-release' },
      ],
      ...more,
    };
  };

async function told(
  rebuild: Partial<Rebuilding>,
  scenario: (small: Scenario) => Scenario,
): Promise<string[]> {
  const gate = { rebuild: { target: 'kmods9s', draft: false, ...rebuild } };
  const lines = await linesOf({ gate, scenario });
  return lines.filter((line) => /rebuil|%dist|drafts|source rpms/.test(line) && !/hub: draft/.test(line));
}

const SIGHT = 'ok gate c9s: rebuild target kmods9s builds in released-build, which sees c9s-candidate';
const ALL = '3 kmods (kmod-alpha, kmod-beta, kmod-gamma)';
const SRPM = `unsure gate c9s: whether it may make real builds of source rpms, as of ${ALL} | the hub does not tell; its build_from_srpm policy, which by default lets admins alone, needs a rule like "user kmod-gate && target kmods9s :: allow" (docs/rebuilds.md)`;

describe('a real rebuild', () => {
  test('with a %dist that no kmod has yet gets another release', async () => {
    expect(await told({}, withTarget('.el9_7'))).toEqual([
      SIGHT,
      'ok gate c9s: released-build makes %dist .el9_7, which no kmod that is rebuilt from the same sources has yet',
      SRPM,
    ]);
  });

  test('with the %dist that kmods have would be refused', async () => {
    const lines = await told({ draft: true }, withTarget('.el9'));
    expect(lines[1]).toBe(
      `wrong gate c9s: released-build makes %dist .el9, as ${ALL} have it: Koji builds no release twice | koji edit-tag released-build -x rpm.macro.dist=.NEW_DIST, or set on_pass.rebuild.branch and bump releases there (docs/rebuilds.md)`,
    );
  });

  test('in a tag without a %dist of its own may be refused', async () => {
    const lines = await told({}, withTarget(null));
    expect(lines[1]).toMatch(
      /^unsure gate c9s: released-build sets no %dist: whether a rebuild .* have \| koji/,
    );
  });

  test('from the head of a branch wants a bumped release there', async () => {
    const from = (small: Scenario) => {
      const kmods = small.kmods.map((kmod) => ({ ...kmod, scm: scm(kmod.name) }));
      return withTarget(null, { kmods })(small);
    };
    expect(await told({ branch: 'c9s' }, from)).toEqual([
      SIGHT,
      `info gate c9s: ${ALL} are rebuilt from the head of c9s | their release must have been bumped there, or the hub refuses the build`,
    ]);
  });

  test('goes into a tag that must list the kmods', async () => {
    const elsewhere = (small: Scenario) =>
      withTarget('.el9_7', {
        targets: [...small.targets, { name: 'kmods9s', build_tag: 'released-build', dest_tag: 'c9s-frozen' }],
      })(small);
    const lines = await told({}, elsewhere);
    expect(lines).toContain(
      `wrong gate c9s: c9s-frozen, where rebuilds go, does not list ${ALL} | koji add-pkg --owner OWNER c9s-frozen kmod-alpha kmod-beta kmod-gamma`,
    );
  });

  test('as a draft needs a hub that has them', async () => {
    const old = withTarget('.el9_7', { hub: { version: '1.30.0', lacks: ['promoteBuild'] } });
    expect(await told({ draft: true }, old)).toContain(
      'wrong gate c9s: on_pass.rebuild.draft is true, and the hub has no drafts (they came with Koji 1.34) | set on_pass.rebuild.draft = false',
    );
  });
});
