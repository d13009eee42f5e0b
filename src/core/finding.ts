/** What evidence proves of a kmod, whoever else it is compared with: the rows of DESIGN.md's tables. */
import type {
  ArchEvidence,
  ArchSymbols,
  BuildEvidence,
  KernelBuild,
  KernelRef,
  LogError,
  Policy,
} from './model.ts';
import { TASK } from './model.ts';
import { describeError, describeSymbols, nameKernels, plural } from './wording.ts';

/**
 * Of one kmod: what the evidence proves. `broken`: by this kernel. `already-broken`: with the baseline too.
 * `unattributed`: broken, and nothing shows whether it was so before.
 */
export type Outcome = 'ok' | 'already-broken' | 'inconclusive' | 'unattributed' | 'broken';

/** From best to worst. */
export const SEVERITY: readonly Outcome[] = [
  'ok',
  'already-broken',
  'inconclusive',
  'unattributed',
  'broken',
];

/**
 * Whose failure it is. `kmod`: its source, or its symbols. `dependency`: a build dependency cannot be met.
 * `kernel`: it was not built against the kernel that it should have been, or nothing proves it. `system`: build root,
 * mock, hub. `builder`: the machine. `person`: cancelled by one. `time`: it took too long.
 */
export type Whose = 'kmod' | 'dependency' | 'kernel' | 'system' | 'builder' | 'person' | 'time';

/** What evidence proves. `again`: nothing yet, by no fault of the kmod; worth another try. */
export interface Finding {
  readonly outcome: Outcome;
  readonly again: boolean;
  /** For people: why. */
  readonly cause: string;
  /** Null of `ok`. */
  readonly whose: Whose | null;
  /** Of `ok`: it loads as it is, by its symbols, and need not be built. */
  readonly loads?: true;
}

/** A kernel that something was built against. */
export type Kernel = Pick<KernelBuild, 'id' | 'nvr' | 'name'>;

// ---- the rows that begin with "rebuild" -------------------------------------------------------------

/** What an ended scratch build proves about `kernel`, all architectures together. */
export function judgeBuild(kernel: Kernel, build: BuildEvidence, proof: Policy['proof'] = 'repo'): Finding {
  if (build.state === 'canceled') return inconclusive('its build was cancelled by a person', 'person', false);
  if (build.arches.length === 0) {
    const why = build.fault ? `: ${lastLine(build.fault.text)}` : '';
    return inconclusive(`it was not built for any architecture${why}`, 'system', true);
  }
  // Koji cancels the other architectures when one fails: those say nothing.
  const failed = build.arches.some(({ state }) => state === TASK.FAILED);
  const arches = build.arches.filter(({ state }) => !failed || state !== TASK.CANCELED);
  const findings = arches.map((arch) => judgeArch(kernel, arch, proof));
  const worst =
    findings.find(({ outcome }) => outcome === 'broken') ??
    findings.find(({ outcome, again }) => outcome === 'inconclusive' && !again) ??
    findings.find(({ outcome }) => outcome === 'inconclusive');
  if (worst) return worst;
  if (build.state === 'failed') {
    return inconclusive(
      `its build failed outside of the architectures: ${lastLine(build.fault?.text ?? 'no result')}`,
      'system',
      true,
    );
  }
  return { outcome: 'ok', again: false, cause: 'builds', whose: null };
}

/** The architectures on which a build proves `outcome`; one that Koji cancelled, or that met trouble, proves nothing. */
export function archesOf(
  build: BuildEvidence,
  kernel: Kernel,
  proof: Policy['proof'],
  outcome: Outcome,
): string[] {
  return build.arches
    .filter((arch) => judgeArch(kernel, arch, proof).outcome === outcome)
    .map(({ arch }) => arch);
}

function judgeArch(kernel: Kernel, arch: ArchEvidence, proof: Policy['proof']): Finding {
  const failed = arch.state === TASK.FAILED;
  const wanted = failed ? arch.errors.find(({ kind }) => kind === 'dependency') : undefined;
  if (wanted) return judgeDependency(kernel, arch, wanted);
  const own = failed && ownFailure(arch);
  if (arch.state !== TASK.CLOSED && !own) return trouble(arch);
  const unproven = testedKernel(kernel, arch, proof);
  if (unproven) return unproven;
  if (!own) return { outcome: 'ok', again: false, cause: 'builds', whose: null };
  const first = arch.errors[0];
  return {
    outcome: 'broken',
    again: false,
    cause: `does not build on ${arch.arch}: ${first ? describeError(first) : lastLine(arch.fault?.text ?? 'failed')}`,
    whose: 'kmod',
  };
}

/** A devel package of another kernel that is not there is a pin, too; what else is missing is the package's own trouble. */
function judgeDependency(kernel: Kernel, { arch, repo }: ArchEvidence, error: LogError): Finding {
  const wanted = error.identifier ?? '';
  if (wanted.startsWith(kernel.name) && /^\S+-devel\S* *=/.test(wanted))
    return inconclusive(
      `tested no kernel on ${arch}: its BuildRequires pin ${wanted}, which is not there; the kernel under test is ${kernel.nvr}`,
      'kernel',
      false,
    );
  if (repo && repo.id !== kernel.id)
    return inconclusive(`tested the wrong kernel on ${arch}: its repo held ${repo.nvr}`, 'kernel', true);
  return {
    outcome: 'broken',
    again: false,
    cause: `its build dependencies cannot be met on ${arch}: ${error.message}`,
    whose: 'dependency',
  };
}

/**
 * Undefined where the build ran against this very kernel, by build id. The build root's content decides;
 * where the hub recorded none, what the gate takes as proof.
 */
function testedKernel(kernel: Kernel, arch: ArchEvidence, proof: Policy['proof']): Finding | undefined {
  const { buildroot, repo } = arch;
  if (buildroot?.some((found) => found.id === kernel.id)) return undefined;
  const held = repo ? repo.id === kernel.id : undefined;
  const say = (cause: string, again = false) => inconclusive(cause, 'kernel', again);
  if (buildroot?.length === 0)
    return say(`its build root on ${arch.arch} held no devel package of ${kernel.name}`);
  if (buildroot) {
    const cause = held
      ? 'its BuildRequires pin another kernel'
      : 'the repo did not hold this one: was it regenerated?';
    const wrong = `tested the wrong kernel on ${arch.arch}: ${nameKernels(buildroot)} and not ${kernel.nvr}`;
    return say(`${wrong}; ${cause}`, !held);
  }
  if (repo && !held)
    return say(
      `tested the wrong kernel on ${arch.arch}: its repo held ${repo.nvr} and not ${kernel.nvr}`,
      true,
    );
  if (proof === 'any' || (proof === 'repo' && held)) return undefined;
  const known = held ? `, and its repo held ${kernel.nvr}, which the gate does not take as proof` : '';
  return say(
    `the hub recorded no build root on ${arch.arch}${known}: nothing shows what it was built against`,
  );
}

/** A tool named an error in the source, or mock says that the package's build failed (status 10). */
function ownFailure({ errors, fault }: ArchEvidence): boolean {
  if (errors.some(({ kind }) => kind === 'machine')) return false;
  return (
    errors.some(({ kind }) => kind === 'source') || /mock exited with status 10\b/.test(fault?.text ?? '')
  );
}

function trouble(arch: ArchEvidence): Finding {
  if (arch.state === TASK.CANCELED)
    return inconclusive(`its build on ${arch.arch} was cancelled`, 'person', false);
  const machine = arch.errors.find(({ kind }) => kind === 'machine');
  const what = machine?.message ?? lastLine(arch.fault?.text ?? 'no result');
  return inconclusive(
    `trouble in the build system on ${arch.arch}: ${what}`,
    machine ? 'builder' : 'system',
    true,
  );
}

/** Koji puts whole tracebacks into fault texts; the last line is the error itself. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

/** Nothing is proven. */
export function inconclusive(cause: string, whose: Whose, again: boolean): Finding {
  return { outcome: 'inconclusive', again, cause, whose };
}

// ---- the rows that begin with "symbols" -------------------------------------------------------------

/** The worst over all architectures. */
export function judgeSymbols(arches: readonly ArchSymbols[], baseline: KernelRef | null = null): Finding {
  if (arches.length === 0)
    return inconclusive('none of its rpms requires a symbol of a kernel', 'kmod', false);
  const broken = arches.filter(({ answer }) => answer === 'incompatible');
  const fresh = broken.find(({ before }) => before === 'compatible');
  const unknown = broken.find(({ before }) => before !== 'incompatible');
  const bad = fresh ?? unknown ?? broken[0];
  if (bad) {
    const cause = `does not load on ${bad.arch}: ${describeSymbols(bad)}`;
    const say = (outcome: Outcome, note: string): Finding => ({
      outcome,
      again: false,
      cause: note ? `${cause}; ${note}` : cause,
      whose: 'kmod',
    });
    if (fresh) return say('broken', `it loads into ${baseline?.nvr ?? 'the baseline'} as it is`);
    if (!unknown) return say('already-broken', `nor does it load into ${baseline?.nvr ?? 'the baseline'}`);
    return say(
      'unattributed',
      baseline
        ? `nothing shows whether it loads into ${baseline.nvr}`
        : 'no kernel has passed yet to compare with',
    );
  }
  const unclear = arches.find(({ answer }) => answer === 'inconclusive');
  if (unclear)
    return inconclusive(`its symbols on ${unclear.arch} tell nothing: ${unclear.cause}`, 'kmod', false);
  const most = Math.max(...arches.map(({ imports }) => imports));
  return {
    outcome: 'ok',
    again: false,
    cause: `loads as it is: ${plural(most, 'symbol')} fit`,
    whose: null,
    loads: true,
  };
}
