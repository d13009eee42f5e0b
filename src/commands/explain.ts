/** `kmod-gate explain`: a kernel build, or a kmod, in the form that is asked for. */
import { matcher } from '../core/names.ts';
import { type Need, needOf } from '../report/needs.ts';
import type { Explanation, RunReport } from '../report/report.ts';
import { asText, type Block } from './document.ts';
import { CheckError } from './error.ts';
import { kernelDocument, kmodDocument } from './explained.ts';
import type { Records } from './records.ts';
import { explanationText } from './report.ts';
import type { Output } from './text.ts';

export type ExplainFormat = 'text' | 'markdown' | 'html' | 'json';

export interface ExplainOptions {
  readonly format: ExplainFormat;
  /** Only at this gate. */
  readonly gate?: string | undefined;
  /** Only these kmods of a kernel: a name, or a pattern. */
  readonly kmod?: string | undefined;
}

/**
 * `kmod-gate explain KERNEL|KMOD`.
 * @param subject of a kernel its NVR or Koji build id, of a kmod its package's name or an NVR
 * @throws CheckError where the records have neither, or nothing that the options ask for
 */
export async function explainCommand(
  records: Records,
  output: Output,
  subject: string,
  options: ExplainOptions,
): Promise<void> {
  const kernel = await records.explain(subject);
  if (kernel) {
    const told = narrowed(kernel, options);
    return showKernel(output, told, needsOf(kernel, told, await records.gates()), options.format);
  }
  if (options.kmod !== undefined)
    throw new CheckError(`${subject}: no such kernel in the store; "kmod-gate status" lists them`);
  const history = (await records.kmod(subject)) ?? (await records.kmod(packageOf(subject)));
  if (!history) {
    const near = await records.near(packageOf(subject));
    throw new CheckError(
      `${subject}: no such kernel and no such kmod in the store; "kmod-gate status" lists the kernels${near}`,
    );
  }
  const { gate } = options;
  const ofGate = <T extends { readonly gate: string }>(all: readonly T[]) =>
    all.filter((one) => gate === undefined || one.gate === gate);
  const told = { ...history, troubles: ofGate(history.troubles), cells: ofGate(history.cells) };
  if (told.cells.length === 0) throw new CheckError(`${history.name} was not tried at gate ${gate}`);
  await showAs(output, options.format, `Kmod ${told.name}`, told, () => kmodDocument(told));
}

/** `kmod-foo` of `kmod-foo-1.0-1.el9`; what has no version and release, which have digits, stays as it is. */
const packageOf = (subject: string): string => subject.replace(/-[^-]*\d[^-]*-[^-]*\d[^-]*$/, '');

/** By run what it needs of people, as the whole of it says; of what is told. */
function needsOf(
  whole: Explanation,
  told: Explanation,
  gates: Awaited<ReturnType<Records['gates']>>,
): Map<string, Need> {
  const needs = whole.runs.flatMap((run): [string, Need][] => {
    const need = needOf(
      run,
      gates.find(({ name }) => name === run.gate),
    );
    const kmods = told.runs.find((one) => one.run === run.run)?.kmods ?? [];
    const isTold = need?.culprit.kind !== 'kmod' || kmods.some(({ name }) => name === need.culprit.name);
    return need && isTold ? [[run.run, need]] : [];
  });
  return new Map(needs);
}

async function showKernel(
  output: Output,
  told: Explanation,
  needs: ReadonlyMap<string, Need>,
  format: ExplainFormat,
): Promise<void> {
  if (format === 'text') output.write(explanationText(output, told, needs));
  else await showAs(output, format, told.nvr, told, () => kernelDocument(told, needs));
}

async function showAs(
  output: Output,
  format: ExplainFormat,
  title: string,
  data: unknown,
  blocks: () => readonly Block[],
): Promise<void> {
  if (format === 'json') return output.write(`${JSON.stringify(data, null, 2)}\n`);
  if (format === 'text') return output.write(asText(output, blocks()));
  const { asHtml, asMarkdown } = await import('./documentforms.ts');
  output.write(format === 'html' ? asHtml(title, blocks()) : asMarkdown(blocks()));
}

/** Only what is about one gate, and about some kmods. Throws CheckError where nothing is left. */
function narrowed(explanation: Explanation, { gate, kmod }: ExplainOptions): Explanation {
  const { nvr } = explanation;
  const runs = explanation.runs.filter((run) => gate === undefined || run.gate === gate);
  if (gate !== undefined && runs.length === 0)
    throw new CheckError(`${nvr} has not stood before gate ${gate}`);
  const journal = explanation.journal.filter(
    (entry) => gate === undefined || entry.gate === gate || entry.gate === null,
  );
  if (kmod === undefined) return { ...explanation, runs, journal };
  const having = runs.map((run) => withKmods(run, matcher([kmod]))).filter(({ kmods }) => kmods.length > 0);
  if (having.length > 0) return { ...explanation, runs: having, journal };
  throw new CheckError(
    `--kmod ${kmod}: ${nvr} is tried with none such; "kmod-gate explain ${nvr}" lists them`,
  );
}

/** A report of some of its kmods. */
function withKmods(run: RunReport, wanted: (name: string) => boolean): RunReport {
  const kmods = run.kmods.filter(({ name }) => wanted(name));
  const others = run.kmods.filter(({ name }) => !wanted(name));
  const isOfOthers = (reason: string) =>
    others.some(({ nvr }) => reason.startsWith(`${nvr}:`) || reason.startsWith(`${nvr} (`));
  const { blame, causes } = run;
  return {
    ...run,
    kmods,
    reasons: run.reasons.filter((reason) => !isOfOthers(reason)),
    needs_rebuild: run.needs_rebuild.filter(wanted),
    rebuilds: run.rebuilds.filter((rebuild) => wanted(rebuild.kmod)),
    ...(blame && { blame: blame.filter((blamed) => blamed.kmods.some(({ name }) => wanted(name))) }),
    ...(causes && {
      causes: causes.map((told) => ({
        ...told,
        kmods: told.kmods.filter((hit) => wanted(hit.kmod)),
        errors: told.errors.filter((error) => wanted(error.kmod)),
      })),
    }),
  };
}
