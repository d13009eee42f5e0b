/** What an ended scratch build shows of one architecture, whoever else it is compared with: the rows "rebuild" of DESIGN.md. */
import type { ArchEvidence, Attempt, BuildEvidence, Intent, KernelBuild, Policy, Run } from './model.ts';
import { TASK } from './model.ts';
import { isInFolderOf, pinIn } from './pin.ts';
import { describeError, nameKernels, span } from './wording.ts';

/**
 * Whose failure it is. `kmod`: its source, or its symbols. `dependency`: a build dependency cannot be met. `kernel`: it
 * was not built against the kernel that it should have been, or nothing proves it. `system`: build root, mock, hub.
 * `builder`: the machine. `person`: cancelled by one. `time`: it took too long.
 */
export type Whose = 'kmod' | 'dependency' | 'kernel' | 'system' | 'builder' | 'person' | 'time';

/** One kmod build, tried on one architecture against one kernel build. */
export interface Trial {
  /** `fails`: of its own. `nothing`: not what was tried, so it says nothing of the kmod. */
  readonly shows: 'builds' | 'fails' | 'nothing';
  /** For people: why. */
  readonly cause: string;
  readonly whose: Whose | null;
  /** Of `nothing`: another try may show more. */
  readonly again: boolean;
  /** It was asked for with others, and not tried because of them: no try of this architecture. */
  readonly untried?: true;
  /** Of the others: what proves which kernel it was built against. */
  readonly proof?: Policy['proof'];
}

/** A kernel that something was built against. */
export type Kernel = Pick<KernelBuild, 'id' | 'nvr' | 'name'>;

/** What counts as proof, the surest first. */
const PROOFS: readonly Policy['proof'][] = ['buildroot', 'repo', 'any'];

/** Whether a gate takes such a proof. */
export const isProof = ({ proof: taken }: Pick<Policy, 'proof'>, proof: Policy['proof']): boolean =>
  PROOFS.indexOf(proof) <= PROOFS.indexOf(taken);

const nothing = (cause: string, whose: Whose, again: boolean): Trial => ({
  shows: 'nothing',
  cause,
  whose,
  again,
});

export function isAttempt(intent: Intent): intent is Attempt {
  return intent.write.kind === 'scratch-build';
}

/** What ended scratch builds with the run's own kernel have left, by kmod and architecture, oldest first. */
export const ownEvidence = (intents: readonly Intent[]) =>
  intents.filter(isAttempt).flatMap(({ write, ending }) => {
    const left = write.against || !ending || ending.how === 'lost' ? [] : (ending.build?.arches ?? []);
    return left.map((evidence) => ({ kmod: write.kmod, evidence }));
  });

/** Builds, of these in order, of a kmod against a kernel on an architecture on which that was tried before. */
export const triedAgain = (builds: readonly Attempt['write'][]): Attempt['write'][] =>
  builds.filter((build, i) =>
    builds
      .slice(0, i)
      .some(
        ({ source, against, arches }) =>
          source === build.source &&
          against?.id === build.against?.id &&
          (!arches || !build.arches || arches.some((arch) => build.arches?.includes(arch))),
      ),
  );

/** Whether the gate itself has asked the hub to cancel a build. */
export function isStopped(
  { intents }: Pick<Run, 'intents'>,
  { receipt }: Intent,
  counts: (cancel: Intent) => boolean = () => true,
): boolean {
  return intents.some(
    (intent) => intent.write.kind === 'cancel' && intent.write.task === receipt?.task && counts(intent),
  );
}

/** What an attempt that has ended shows of `kernel` on one of the architectures that it was for. */
export function trialOf(
  policy: Pick<Policy, 'proof'>,
  run: Pick<Run, 'intents'>,
  kernel: Kernel,
  attempt: Attempt,
  arch: string,
): Trial {
  const { ending, askedAt, write } = attempt;
  if (!ending || ending.how === 'lost') return nothing('its build never reached the hub', 'system', true);
  const { build } = ending;
  if (!build) return ending.how === 'failed' ? unbuilt(ending.why) : nothing(UNTOLD, 'system', true);
  const alone = write.arches?.length === 1;
  const trial = shownBy(policy, kernel, build, arch, alone);
  if (trial.whose !== 'person' || !isStopped(run, attempt)) return trial;
  return nothing(`its build did not end within ${span(ending.at - askedAt)}`, 'time', true);
}

/** @param alone it was asked for this architecture and no other */
export function shownBy(
  policy: Pick<Policy, 'proof'>,
  kernel: Kernel,
  build: BuildEvidence,
  arch: string,
  alone = false,
): Trial {
  if (build.unread) return unreadable(arch, build.unread);
  const evidence = build.arches.find((one) => one.arch === arch);
  const failed = build.arches.find(({ state }) => state === TASK.FAILED);
  const untried = (cause: string): Trial => ({
    ...nothing(cause, 'system', true),
    ...(!alone && { untried: true }),
  });
  const ended = evidence && (evidence.state === TASK.CLOSED || evidence.state === TASK.FAILED);
  if (ended) return judgeArch(policy, kernel, evidence);
  if (build.state === 'canceled' || (evidence && !failed))
    return nothing(`its build on ${arch} was cancelled by a person`, 'person', false);
  if (evidence) return untried(`not tried on ${arch}: it was cancelled when ${failed?.arch} failed`);
  const fault = lastLine(build.fault?.text ?? '');
  if (build.arches.length > 0) return untried(`not tried on ${arch}: the hub did not build it there`);
  if (/No matching arches/.test(fault))
    return nothing(
      `not tried on ${arch}: the build tag is not for it, nor perhaps the spec file (${fault}); add it there, or set arches`,
      'system',
      false,
    );
  return unbuilt(`it was not built for any architecture${fault && `: ${fault}`}`);
}

const UNTOLD = 'the hub tells nothing of it';

/**
 * What Koji refuses for good, until a person changes it: texts of `kojihub.check_policy`, `kojihub.build` and of the `build`
 * task's handler in kojid, and what to do about each.
 */
const REFUSALS: readonly (readonly [RegExp, (found: string) => string])[] = [
  // The hub's answer to the call itself comes with what to do.
  [/\(fault 1004\b/, () => ''],
  [
    /policy violation \((\w+)\)/,
    (policy) => `the hub's policy ${policy} must let the gate do that (deploy/koji-setup.md)`,
  ],
  [/only admins may create high-priority tasks/, () => 'set build.priority to 0 or more'],
  [/(?:unknown build target|[Nn]o such build target|neither tag nor target): /, () => 'see build.target'],
  [/No arches for tag (\S+)/, (tag) => `koji edit-tag ${tag} --arches "ARCH ..."`],
  [/Repo\/Target mismatch/, () => 'the target has got another build tag'],
];

/** Of a build of which no architecture was begun. */
function unbuilt(why: string): Trial {
  for (const [pattern, mend] of REFUSALS) {
    const found = pattern.exec(why);
    const todo = found && [mend(found[1] ?? ''), 'then "kmod-gate retry"'].filter((text) => text).join(', ');
    if (todo) return nothing(`${why}; ${todo}`, 'system', false);
  }
  return nothing(why, 'system', true);
}

/** Its state is known and no more: a failure may be anybody's, and nothing proves a kernel. */
const unreadable = (arch: string, why: string): Trial =>
  nothing(`what its build on ${arch} left cannot be read: ${why}`, 'system', true);

/** Of an architecture whose task has closed or failed. */
function judgeArch(policy: Pick<Policy, 'proof'>, kernel: Kernel, evidence: ArchEvidence): Trial {
  const { arch, errors, fault, repo } = evidence;
  if (evidence.unread) return unreadable(arch, evidence.unread);
  const failed = evidence.state === TASK.FAILED;
  const find = (...kinds: string[]) => errors.find(({ kind }) => kinds.includes(kind));
  const trouble = (why: string, whose: Whose) =>
    nothing(`trouble in the build system on ${arch}: ${why}`, whose, true);
  const machine = failed && find('machine');
  if (machine) return trouble(machine.message, 'builder');
  const [killed] = /\bmock was killed by signal \d+/.exec(fault?.text ?? '') ?? [];
  if (failed && killed) return trouble(killed, 'builder');
  const pin = failed && errors.map((error) => pinIn(error, kernel)).find((wanted) => wanted);
  if (pin) {
    const asks = pin.startsWith('/')
      ? `its build looks for ${pin}, which is not there`
      : `its BuildRequires pin ${pin}, which cannot be installed`;
    const why = `${asks}; the kernel under test is ${kernel.nvr}`;
    return nothing(`tested no kernel on ${arch}: ${why}`, 'kernel', false);
  }
  // What this kernel's own folder lacks is between the kmod and the kernel.
  const ownFolder = errors.find((error) => isInFolderOf(error, kernel));
  const wanted = failed && !ownFolder && find('kernel', 'dependency');
  if (wanted) {
    if (repo && repo.id !== kernel.id)
      return nothing(`tested the wrong kernel on ${arch}: its repo held ${repo.nvr}`, 'kernel', true);
    const cause = `its build dependencies cannot be met on ${arch}: ${wanted.message}`;
    return nothing(cause, wanted.kind === 'kernel' ? 'kernel' : 'dependency', true);
  }
  const own = ownFolder || find('source') || /mock exited with status 10\b/.test(fault?.text ?? '');
  if (failed && !own) return trouble(lastLine(fault?.text ?? 'no result'), 'system');
  const proof = proofOf(policy, kernel, evidence);
  if (typeof proof !== 'string') return proof;
  if (!failed) return { shows: 'builds', cause: 'builds', whose: null, again: false, proof };
  const why = errors[0] ? describeError(errors[0]) : lastLine(fault?.text ?? 'failed');
  return { shows: 'fails', cause: `does not build on ${arch}: ${why}`, whose: 'kmod', again: false, proof };
}

/**
 * What proves that it ran against this very kernel, by build id, or why nothing does. The build root's content decides;
 * where the hub recorded none, what the gate takes as proof.
 */
function proofOf(
  policy: Pick<Policy, 'proof'>,
  kernel: Kernel,
  { arch, buildroot, repo }: ArchEvidence,
): Policy['proof'] | Trial {
  const held = repo ? repo.id === kernel.id : undefined;
  const say = (cause: string, again = false) => nothing(cause, 'kernel', again);
  if (buildroot) {
    const devel = buildroot.filter(({ nvr }) => isDevel(kernel.name, nvr));
    const [own, others] = [true, false].map((is) => devel.filter(({ id }) => (id === kernel.id) === is));
    if (own?.length && !others?.length) return 'buildroot';
    if (own?.length)
      return say(
        `its build root on ${arch} held ${nameKernels(devel)} side by side: nothing shows which it used`,
      );
    if (devel.length === 0) return say(`its build root on ${arch} held no devel package of ${kernel.name}`);
    const why = held
      ? 'its BuildRequires pin another kernel'
      : 'the repo did not hold this one: was it regenerated?';
    return say(
      `tested the wrong kernel on ${arch}: ${nameKernels(devel)} and not ${kernel.nvr}; ${why}`,
      !held,
    );
  }
  if (repo && !held)
    return say(`tested the wrong kernel on ${arch}: its repo held ${repo.nvr} and not ${kernel.nvr}`, true);
  const proof = held ? 'repo' : 'any';
  if (isProof(policy, proof)) return proof;
  const known = held ? `, and its repo held ${kernel.nvr}, which the gate does not take as proof` : '';
  return say(`the hub recorded no build root on ${arch}${known}: nothing shows what it was built against`);
}

/**
 * Whether kmods are built against an rpm (`kernel-devel`, `kernel-rt-devel`, `kernel-64k-devel-matched`, SUSE's
 * `kernel-default-devel`); against `kernel-tools-libs-devel` none is.
 */
export function isDevel(kernel: string, nvr: string): boolean {
  const name = nvr.split('-').slice(0, -2).join('-');
  return name.startsWith(`${kernel}-`) && !name.includes('-libs-') && /-devel(-matched)?$/.test(name);
}

/** Koji puts whole tracebacks into fault texts; the last line is the error itself. */
const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';
