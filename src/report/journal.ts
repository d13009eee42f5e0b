/** Lines of the journal: what was answered, how it ended, what was seen. */

import { ANYWHERE } from '../core/cell.ts';
import type {
  BuildEvidence,
  Ending,
  Entry,
  Intent,
  Receipt,
  Run,
  SymbolEvidence,
  SymbolsShown,
} from '../core/model.ts';
import { describeChange, describeStablelist } from '../core/symbols.ts';
import { isStopped, shownBy } from '../core/trial.ts';
import { describeWrite, plural } from '../core/wording.ts';
import type { RunReport } from './report.ts';

/** A line of the journal as a history below its runs has it: a verdict that they show is not spelled out again. */
export function briefly({ kind, run, text }: Entry, runs: readonly RunReport[]): string {
  if (kind !== 'verdict') return text;
  const shown = runs.some(
    (report) => report.run === run && text === `verdict ${report.verdict}: ${report.reasons.join('; ')}`,
  );
  return shown ? text.slice(0, text.indexOf(':')) : text;
}

/** What the hub answered to a write, for the journal. */
export function describeReceipt({ task, repo, request, sideTag }: Receipt): string {
  if (task !== undefined) return `task ${task}`;
  if (repo) return `repo ${repo.id}`;
  return sideTag ?? (request === undefined ? 'accepted' : `repo request ${request}`);
}

/** How a write ended, for the journal; a scratch build with what it proves. */
export function describeEnding(run: Pick<Run, 'kernel' | 'intents'>, intent: Intent, ending: Ending): string {
  const { write } = intent;
  const what = write.kind === 'scratch-build' ? write.kmod : describeWrite(write);
  if (ending.how === 'lost') return `${what}: never reached the hub`;
  if (ending.build?.state === 'canceled' && isStopped(run, intent)) return `${what}: stopped by the gate`;
  if (ending.build) {
    const against = write.kind === 'scratch-build' ? write.against : undefined;
    const asked = write.kind === 'scratch-build' ? write.arches : undefined;
    const shown = describeBuild({ ...run.kernel, ...against }, ending.build, asked ?? [ANYWHERE]);
    return `${what}: ${shown}${against ? ` (against ${against.nvr})` : ''}`;
  }
  return `${what}: ${ending.how === 'done' ? 'done' : ending.why}`;
}

/** What a build proves, the worst of its architectures. */
function describeBuild(kernel: Run['kernel'], build: BuildEvidence, asked: readonly string[]): string {
  const arches = build.arches.length > 0 ? build.arches.map(({ arch }) => arch) : asked;
  const trials = arches.map((arch) => shownBy({ proof: 'repo' }, kernel, build, arch));
  const told = (['fails', 'nothing', 'builds'] as const).map((as) =>
    trials.find(({ shows, untried }) => shows === as && !untried),
  );
  return told.find((trial) => trial)?.cause ?? trials[0]?.cause ?? '';
}

/** What symbols show of a run, for the journal. */
export function describeShown(shown: SymbolsShown): string {
  const { kmods, change, stablelist } = shown;
  const parts = [
    ...(change ? [describeChange(change)] : []),
    ...(stablelist ? [describeStablelist(shown)] : []),
    ...(kmods.length > 0 ? [describeEvidence(kmods)] : []),
  ];
  return parts.join('; ');
}

/** The first few of many names. */
export const someOf = (names: readonly string[]): string =>
  names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');

function describeEvidence(evidence: readonly SymbolEvidence[]): string {
  const named = (is: (answers: readonly string[]) => boolean) =>
    evidence.filter(({ arches }) => is(arches.map(({ answer }) => answer))).map(({ kmod }) => kmod);
  const broken = named((answers) => answers.includes('incompatible'));
  const ok = named((answers) => answers.length > 0 && answers.every((answer) => answer === 'compatible'));
  const unclear = evidence
    .map(({ kmod }) => kmod)
    .filter((kmod) => !ok.includes(kmod) && !broken.includes(kmod));
  const parts = [
    `${ok.length} of ${plural(evidence.length, 'kmod')} ${ok.length === 1 ? 'loads' : 'load'} as built`,
    ...(broken.length > 0 ? [`not ${someOf(broken)}`] : []),
    ...(unclear.length > 0 ? [`nothing can be said of ${someOf(unclear)}`] : []),
  ];
  return `by their symbols ${parts.join('; ')}`;
}
