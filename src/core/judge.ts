/** From evidence to outcomes, from outcomes to a verdict: the decision tables of DESIGN.md. */
import type {
  ArchEvidence,
  ArchSymbols,
  Attempt,
  BuildEvidence,
  Intent,
  KernelBuild,
  Kmod,
  Run,
  SymbolsShown,
  Verdict,
} from './model.ts';
import { TASK } from './model.ts';
import {
  describeError,
  describeEverything,
  describeStablelist,
  describeSymbols,
  keepsPromise,
  nameKernels,
  plural,
} from './wording.ts';

/** Of one kmod: what its attempts prove. */
export type Outcome = 'ok' | 'broken' | 'inconclusive';

/** What one ended attempt proves. `again`: nothing yet, by no fault of the kmod; worth another try. */
export interface Finding {
  readonly outcome: Outcome;
  readonly again: boolean;
  /** For people: why. */
  readonly cause: string;
  /** Of `ok`: it loads as it is, by its symbols, and need not be built. */
  readonly loads?: true;
}

/** Where a kmod stands in a run. */
export interface KmodStanding {
  readonly kmod: Kmod;
  readonly attempts: readonly Attempt[];
  /** `unread`: its symbols are wanted first; `wanted`: to be submitted at or after `notBefore`; `active`: not ended. */
  readonly state: 'unread' | 'wanted' | 'active' | 'judged';
  readonly notBefore: number;
  /** Of the last ended attempt. */
  readonly finding?: Finding;
}

/** Pauses before the second, third … try of a build that failed by no fault of the kmod, in ms. */
export const RETRY_PAUSES = [60_000, 300_000] as const;

/** Where each kmod of the run stands, in the run's order. */
export function standings(run: Run): KmodStanding[] {
  const attempts = new Map<string, Attempt[]>(run.kmods.map((kmod) => [kmod.name, []]));
  for (const attempt of run.intents.filter(isAttempt)) attempts.get(attempt.write.kmod)?.push(attempt);
  const symbols = new Map(run.symbols?.kmods.map(({ kmod, arches }) => [kmod, arches]));
  return run.kmods.map((kmod) => {
    const tried = attempts.get(kmod.name) ?? [];
    if (run.strategy === 'rebuild') return standing(run.kernel, kmod, tried);
    const arches = symbols.get(kmod.name);
    if (!arches) return { kmod, attempts: tried, state: 'unread', notBefore: 0 };
    const shown = judgeSymbols(arches);
    const spared = run.strategy === 'symbols-then-rebuild' && shown.outcome === 'ok';
    if (run.strategy === 'symbols' || spared)
      return { kmod, attempts: tried, state: 'judged', notBefore: 0, finding: shown };
    const built = standing(run.kernel, kmod, tried);
    if (built.state !== 'judged' || !built.finding) return built;
    const finding =
      run.strategy === 'symbols-and-rebuild' ? worse(shown, built.finding) : anew(built.finding);
    return { ...built, finding };
  });
}

/** Of a kmod that does not load as it is the rebuild decides. */
const anew = (built: Finding): Finding =>
  built.outcome === 'ok' ? { ...built, cause: 'needs a rebuild, and builds' } : built;

const SEVERITY: readonly Outcome[] = ['ok', 'inconclusive', 'broken'];

/** The worst of two; of equals, what the build shows. */
function worse(shown: Finding, built: Finding): Finding {
  return SEVERITY.indexOf(shown.outcome) > SEVERITY.indexOf(built.outcome) ? shown : built;
}

export function isAttempt(intent: Intent): intent is Attempt {
  return intent.write.kind === 'scratch-build';
}

function standing(kernel: KernelBuild, kmod: Kmod, attempts: readonly Attempt[]): KmodStanding {
  const last = attempts.at(-1);
  if (!last) return { kmod, attempts, state: 'wanted', notBefore: 0 };
  if (!last.ending) return { kmod, attempts, state: 'active', notBefore: 0 };
  const finding = findingOf(kernel, last);
  const pause = last.ending.how === 'lost' ? lostPause(attempts) : retryPause(attempts);
  if (!finding.again || pause === undefined)
    return { kmod, attempts, state: 'judged', notBefore: 0, finding };
  return { kmod, attempts, state: 'wanted', notBefore: last.ending.at + pause, finding };
}

function retryPause(attempts: readonly Attempt[]): number | undefined {
  const ended = attempts.filter(({ ending }) => ending && ending.how !== 'lost').length;
  return RETRY_PAUSES[ended - 1];
}

/** A submission that never reached the hub is no try; but one that is only not found again is a build each. */
function lostPause(attempts: readonly Attempt[]): number | undefined {
  return [0, ...RETRY_PAUSES][attempts.filter(({ ending }) => ending?.how === 'lost').length - 1];
}

/** What an ended attempt proves about `kernel`. */
export function findingOf(kernel: KernelBuild, attempt: Attempt): Finding {
  const { ending } = attempt;
  if (!ending || ending.how === 'lost') return inconclusive('its build never reached the hub', true);
  if (!ending.build)
    return inconclusive(ending.how === 'failed' ? ending.why : 'the hub tells nothing of it', true);
  return judgeBuild(kernel, ending.build);
}

/** The rows of the decision table that begin with "rebuild". */
export function judgeBuild(kernel: KernelBuild, build: BuildEvidence): Finding {
  if (build.state === 'canceled') return inconclusive('its build was cancelled by a person', false);
  if (build.arches.length === 0) {
    const why = build.fault ? `: ${lastLine(build.fault.text)}` : '';
    return inconclusive(`it was not built for any architecture${why}`, true);
  }
  // Koji cancels the other architectures when one fails: those say nothing.
  const failed = build.arches.some(({ state }) => state === TASK.FAILED);
  const arches = build.arches.filter(({ state }) => !failed || state !== TASK.CANCELED);
  const findings = arches.map((arch) => judgeArch(kernel, arch));
  const worst =
    findings.find(({ outcome }) => outcome === 'broken') ??
    findings.find(({ outcome, again }) => outcome === 'inconclusive' && !again) ??
    findings.find(({ outcome }) => outcome === 'inconclusive');
  if (worst) return worst;
  if (build.state === 'failed') {
    return inconclusive(
      `its build failed outside of the architectures: ${lastLine(build.fault?.text ?? 'no result')}`,
      true,
    );
  }
  return { outcome: 'ok', again: false, cause: 'builds' };
}

/** The rows of the decision table that begin with "symbols": the worst over all architectures. */
export function judgeSymbols(arches: readonly ArchSymbols[]): Finding {
  if (arches.length === 0) return inconclusive('none of its rpms requires a symbol of a kernel', false);
  const bad =
    arches.find(({ answer }) => answer === 'incompatible') ??
    arches.find(({ answer }) => answer === 'inconclusive');
  if (bad?.answer === 'incompatible')
    return {
      outcome: 'broken',
      again: false,
      cause: `does not load on ${bad.arch}: ${describeSymbols(bad)}`,
    };
  if (bad) return inconclusive(`its symbols on ${bad.arch} tell nothing: ${bad.cause}`, false);
  const most = Math.max(...arches.map(({ imports }) => imports));
  return { outcome: 'ok', again: false, cause: `loads as it is: ${plural(most, 'symbol')} fit`, loads: true };
}

function judgeArch(kernel: KernelBuild, arch: ArchEvidence): Finding {
  const proof = testedKernel(kernel, arch);
  const failed = arch.state === TASK.FAILED && ownFailure(arch);
  if (arch.state !== TASK.CLOSED && !failed) return inconclusive(trouble(arch), arch.state !== TASK.CANCELED);
  if (proof) return proof;
  if (!failed) return { outcome: 'ok', again: false, cause: 'builds' };
  const first = arch.errors[0];
  return {
    outcome: 'broken',
    again: false,
    cause: `does not build on ${arch.arch}: ${first ? describeError(first) : lastLine(arch.fault?.text ?? 'failed')}`,
  };
}

/**
 * Undefined where the build ran against this very kernel, by build id. The build root's content decides;
 * where the hub recorded none, the newest kernel of the repo that the build root was made from.
 */
function testedKernel(kernel: KernelBuild, arch: ArchEvidence): Finding | undefined {
  const { buildroot, repo } = arch;
  if (buildroot?.some((found) => found.id === kernel.id)) return undefined;
  const held = repo ? repo.id === kernel.id : undefined;
  if (buildroot?.length === 0) {
    return inconclusive(`its build root on ${arch.arch} held no devel package of ${kernel.name}`, false);
  }
  if (buildroot) {
    const cause = held ? 'its BuildRequires pin another kernel' : 'the repo did not hold this one';
    return inconclusive(
      `tested the wrong kernel on ${arch.arch}: ${nameKernels(buildroot)}; ${cause}`,
      !held,
    );
  }
  if (held) return undefined;
  if (repo) return inconclusive(`tested the wrong kernel on ${arch.arch}: its repo held ${repo.nvr}`, true);
  return inconclusive(`nothing shows which kernel it was built against on ${arch.arch}`, false);
}

/** A tool named an error in the source, or mock says that the package's build failed (status 10). */
function ownFailure({ errors, fault }: ArchEvidence): boolean {
  if (errors.some(({ kind }) => kind === 'machine')) return false;
  return (
    errors.some(({ kind }) => kind === 'source') || /mock exited with status 10\b/.test(fault?.text ?? '')
  );
}

function trouble(arch: ArchEvidence): string {
  if (arch.state === TASK.CANCELED) return `its build on ${arch.arch} was cancelled`;
  const machine = arch.errors.find(({ kind }) => kind === 'machine');
  return `trouble in the build system on ${arch.arch}: ${machine?.message ?? lastLine(arch.fault?.text ?? 'no result')}`;
}

/** Koji puts whole tracebacks into fault texts; the last line is the error itself. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

function inconclusive(cause: string, again: boolean): Finding {
  return { outcome: 'inconclusive', again, cause };
}

/**
 * The verdict over all kmods, and every reason in order: what blocks, what holds, what was only advisory,
 * what is fine. Call it when each kmod is judged; an empty list holds.
 */
export function verdictOf(
  kernel: KernelBuild,
  kmods: readonly KmodStanding[],
  symbols: SymbolsShown | undefined = undefined,
): { verdict: Verdict; reasons: string[] } {
  const found = (outcome: Outcome, required: boolean) =>
    kmods.filter(({ finding, kmod }) => finding?.outcome === outcome && kmod.required === required);
  const say = (list: readonly KmodStanding[], note = '') =>
    list.map(({ kmod, finding }) => `${kmod.nvr}${note}: ${finding?.cause}`);
  const blocking = found('broken', true);
  const holding = found('inconclusive', true);
  const promised = symbols?.stablelist === 'block' ? keepsPromise(symbols) : 'kept';
  const broken = promised === 'broken';
  const promise = symbols?.stablelist ? [describeStablelist(symbols)] : [];
  const everything = symbols?.change && describeEverything(symbols.change);
  const reasons = [
    ...(everything ? [everything] : []),
    ...(promised === 'kept' ? [] : promise),
    ...say(blocking),
    ...say(holding, ' (inconclusive)'),
    ...say(found('broken', false), ' (advisory)'),
    ...say(found('inconclusive', false), ' (advisory, inconclusive)'),
    ...(promised === 'kept' ? promise : []),
    summary(kernel, kmods),
  ];
  if (broken || blocking.length > 0) return { verdict: 'block', reasons };
  const proven = kmods.some(({ finding }) => finding && finding.outcome !== 'inconclusive');
  if (holding.length > 0 || promised === 'unclear' || !proven) return { verdict: 'hold', reasons };
  return { verdict: 'promote', reasons };
}

/** `7 of 12 kmods load into kernel-… as they are, 4 build against it`. */
function summary({ nvr }: KernelBuild, kmods: readonly KmodStanding[]): string {
  const fine = kmods.filter(({ finding }) => finding?.outcome === 'ok');
  const loading = fine.filter(({ finding }) => finding?.loads).length;
  const building = fine.length - loading;
  const all = plural(kmods.length, 'kmod');
  const built = kmods.some(({ attempts }) => attempts.length > 0);
  if (loading === 0 && built)
    return `${building} of ${all} ${building === 1 ? 'builds' : 'build'} against ${nvr}`;
  const loads = `${loading} of ${all} ${loading === 1 ? 'loads' : 'load'} into ${nvr} as ${loading === 1 ? 'it is' : 'they are'}`;
  return building === 0
    ? loads
    : `${loads}, ${building} more ${building === 1 ? 'builds' : 'build'} against it`;
}
