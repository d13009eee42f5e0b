/**
 * Mistakes to put back into the source, each with the first seed that shows it. To write one: the text as it stands
 * there, exactly once, and what is to stand there; then `npm run sim -- --plants NAME` tells the seed.
 */
import type { Change, Patch } from './patched.ts';

const CELL = 'src/core/cell.ts';
const TRIAL = 'src/core/trial.ts';
const TAGS = 'src/core/tags.ts';
const VERDICT = 'src/core/verdict.ts';
const BASELINE = 'src/core/baseline.ts';

/** One change of one file. */
const change = (file: string, from: string, to: string): readonly Change[] => [{ file, from, to }];

const OWN_FAILURE = "{ shows: 'fails', cause, whose: 'dependency', again: false, proof: 'buildroot' }";

/** A1 to A13 let a kernel pass, B14 to B22 block or hold one; the letters and numbers are those of the report of them. */
/** Else what was released from the pass tag is a baseline in place of what the gate let through. */
const NO_RELEASE = change('src/reconciler/choose.ts', 'if (released.length > 0) return released;', '');

export const PATCHES: readonly Patch[] = [
  {
    finding: 'A1',
    what: 'a missing package is the own failure of a kmod, with the baseline too',
    changes: change(
      TRIAL,
      "return nothing(cause, wanted.kind === 'kernel' ? 'kernel' : 'dependency', true);",
      `return ${OWN_FAILURE};`,
    ),
    seed: '116',
  },
  {
    finding: 'A2',
    what: 'what Koji cancelled since another architecture failed is fine',
    changes: change(
      TRIAL,
      '  if (evidence) return untried(',
      "  if (evidence) return { shows: 'builds', cause: '', whose: null, again: false, proof: 'buildroot' };\n  if (evidence) return untried(",
    ),
    seed: '34',
  },
  {
    finding: 'A3',
    what: 'whatever goes wrong with the baseline is "it fails there too"',
    changes: change(
      CELL,
      '  return nothing(`nothing shows whether it builds against $' +
        '{baseline.nvr}: $' +
        '{trial.cause}`);',
      "  return { shows: 'fails', text: baseline.nvr };",
    ),
    seed: '9',
  },
  {
    finding: 'A4',
    what: 'what passed by a waiver is the next baseline',
    changes: change(
      BASELINE,
      "if (outcome === 'ok' || outcome === 'already-broken') return [kernel];",
      'if (outcome) return [kernel];',
    ),
    seed: '12',
  },
  {
    finding: 'A5',
    what: 'what another gate let in is a baseline, though this one has blocked it',
    changes: change(BASELINE, '(judged ? sound(judged) : [ref])', '(judged ? [ref] : [ref])'),
    seed: '59',
  },
  {
    finding: 'A6',
    what: 'a promotion takes the kernel out of where another gate blocks it',
    changes: change(
      TAGS,
      '(name) => !lastEnters(others, name) && !seen.blockedIn.includes(name)',
      '(name) => others && name',
    ),
    seed: '4',
  },
  {
    finding: 'A7',
    what: 'what another target showed is evidence here',
    changes: change(CELL, '      one.target === build?.target &&\n', ''),
    seed: '17',
  },
  {
    finding: 'A8',
    what: 'any devel package of this build proves the kernel',
    changes: [
      ...change(TRIAL, " && !name.includes('-libs-')", ''),
      ...change(TRIAL, 'if (own?.length && !others?.length)', 'if (own?.length)'),
    ],
    seed: '32',
  },
  {
    finding: 'A9',
    what: 'cells are where it happened to be built',
    changes: change(
      CELL,
      'const first = kmod.arches ?? kmod.expected ?? [];',
      'const first = kmod.arches && kmod.arches.length > 9 ? kmod.arches : [];',
    ),
    seed: '1',
  },
  {
    finding: 'A10',
    what: 'a waiver brings back kernels that are older than what was released',
    changes: change(
      'src/reconciler/observe.ts',
      '.filter(({ build_id }) => build_id !== id)',
      '.filter(({ build_id, revoke_event }) => build_id !== id && revoke_event === null)',
    ),
    seed: '25',
  },
  {
    finding: 'A11',
    what: 'a waiver that has ended before the tags move still counts',
    changes: change(
      VERDICT,
      '  if (!verdict) return undefined;\n  const found',
      "  if (!verdict || verdict.verdict === 'promote') return undefined;\n  const found",
    ),
    seed: '80',
  },
  {
    finding: 'A12',
    what: 'the end of a hold promotes what nothing was tried of',
    changes: [
      ...change(
        VERDICT,
        "after_hold === 'promote' && !verdictOf(",
        "after_hold !== 'promote' && !verdictOf(",
      ),
      ...change(VERDICT, "found.verdict === 'hold' && found.proven)", "found.verdict === 'hold')"),
    ],
    seed: '16',
  },
  {
    finding: 'A13',
    what: 'a symbol that is wanted of the kernel is had of a kmod',
    changes: change(
      'src/kabi/compare.ts',
      "(offer.asKernel === true) === (of === 'kernel')",
      "(of === 'kernel' || offer.asKernel !== true)",
    ),
    seed: '15',
  },
  {
    finding: 'B14',
    what: 'a package that is gone since the baseline was tried is blamed on the kernel',
    changes: change(
      CELL,
      "if (progress.state !== 'judged' || trial?.shows !== 'fails')",
      "if (progress.state !== 'judged' || (trial?.shows !== 'fails' && trial?.whose !== 'dependency'))",
    ),
    seed: '116',
  },
  {
    finding: 'B15',
    what: 'a process that was killed is the own failure of a kmod',
    changes: change(
      TRIAL,
      "const machine = failed && find('machine');",
      "const machine = failed && find('none');",
    ),
    seed: '35',
  },
  {
    finding: 'B16',
    what: 'a draft keeps its first name',
    changes: [
      ...change(
        'src/reconciler/look.ts',
        'if (seen && seen.nvr !== nvr) await store.seeKernel(kernel, now());',
        '',
      ),
      ...change('src/store/kernels.ts', 'if (known?.nvr === nvr) return;', 'if (known) return;'),
    ],
    seed: '7',
  },
  {
    finding: 'B17',
    what: 'a kernel that a signer moves on was taken over, and is no baseline',
    changes: [
      ...change(TAGS, 'if (isPass && movedOn(gate, run, moves, isOwn)) continue;', ''),
      ...NO_RELEASE,
    ],
    seed: '70',
  },
  {
    finding: 'B18',
    what: '32-bit tools are an architecture of the kmod',
    changes: change(
      'src/reconciler/choose.ts',
      'built.filter((arch) => ofKernels.has(arch))',
      'built.filter((arch) => ofKernels.size > 0 && arch)',
    ),
    seed: '89',
  },
  {
    finding: 'B19',
    what: 'only a pinned -devel is a pin',
    changes: [
      ...change(
        TRIAL,
        'errors.map((error) => pinIn(error, kernel))',
        "errors.map((error) => /-devel/.test(error.identifier ?? '') && pinIn(error, kernel))",
      ),
      ...change(
        TRIAL,
        "return nothing(cause, wanted.kind === 'kernel' ? 'kernel' : 'dependency', true);",
        `return wanted.kind === 'kernel' ? ${OWN_FAILURE} : nothing(cause, 'dependency', true);`,
      ),
    ],
    seed: '11',
  },
  {
    finding: 'B20',
    what: 'a hold goes on while a person holds the kernel',
    changes: change(
      'src/core/decide.ts',
      "orders.findLast(({ kind }) => kind === 'release')?.at ?? since;",
      'orders.length < 0 ? 0 : since;',
    ),
    seed: '80',
  },
  {
    finding: 'B21',
    what: 'all symbols gone tells nothing, though the baseline had them',
    changes: change(
      CELL,
      "imports > 0 && missing.count === imports && before === 'compatible';",
      "imports < 0 && missing.count === imports && before === 'compatible';",
    ),
    seed: '6',
  },
  {
    finding: 'B22',
    what: 'rpms of names that nobody has listed are no part of a kernel',
    changes: change(
      'src/kabi/rpm.ts',
      'ownerOf(name) === prefix && !isEmpty(name)',
      'ownerOf(name) === prefix && !isEmpty(name) && !/-(kvm|extra|modules-wireless)$/.test(name)',
    ),
    seed: '9',
  },
  {
    finding: 'H1',
    what: 'a blocked kernel stays where a newer one was blocked before it',
    changes: [
      ...change('src/core/decide.ts', 'const newer = promotes && newerHead(', 'const newer = newerHead('),
      ...change(
        'src/reconciler/observe.ts',
        "run.verdict?.verdict === 'promote'\n        ? (side.heads ?? (await passedInto(context, gate, kernel)))\n        : new Map()",
        'await passedInto(context, { ...gate, on_pass: { tag: [...gate.on_pass.tag, ...gate.on_fail.tag], untag: [] } }, kernel)',
      ),
    ],
    seed: '9',
  },
  {
    finding: 'loads',
    what: 'that a kmod loads into the baseline proves that it builds there',
    changes: change(CELL, "strategy === 'symbols-then-rebuild' ? found : undefined", 'found'),
    seed: '75',
  },
  {
    finding: 'rebuilds',
    what: 'a kernel whose kmods are still rebuilt has not passed',
    changes: [
      ...change('src/store/runs.ts', 'run.live = 0 OR EXISTS', 'run.live = 0 OR 0 AND EXISTS'),
      ...NO_RELEASE,
    ],
    seed: '70',
  },
  {
    finding: 'unread kernel',
    what: 'what an rpm of the kernel that cannot be read gives is gone',
    changes: change(
      'src/reconciler/symbols.ts',
      '...(notAll !== undefined && { partial: notAll }),',
      '...(notAll === null && { partial: notAll }),',
    ),
    seed: '8',
  },
  {
    finding: 'unread kmod',
    what: 'a kmod does not load of which an rpm cannot be read',
    changes: change(
      'src/reconciler/symbols.ts',
      "answer: 'inconclusive',\n  cause: `its symbols cannot be read",
      "answer: 'incompatible',\n  cause: `its symbols cannot be read",
    ),
    seed: '3',
  },
  {
    finding: 'several kernels',
    what: 'of rpms for several kernels the first one is judged',
    changes: change(
      'src/kabi/kmod.ts',
      'if (named) return { parts: named, builtFor: [] };',
      'if (named) return { parts: parts.slice(0, 1), builtFor: [] };',
    ),
    seed: '10',
  },
  {
    finding: 'observed',
    what: 'a kernel that was only observed is forgotten when the gate enforces',
    changes: change(VERDICT, "return mode === 'enforce';", "return mode === 'enforce' && !closing;"),
    seed: '18',
  },
  {
    finding: 'unlisted',
    what: 'a run goes on though its package is listed no more',
    changes: change(
      'src/core/decide.ts',
      'if (!gate.kernels.includes(run.kernel.name)) {',
      'if (gate.kernels.length === 0) {',
    ),
    seed: '69',
  },
];
