/** Whose causes are worth looking for in the kernel's types: pure. */
import type { KernelRef, Run } from './model.ts';
import { ownEvidence } from './trial.ts';

/** Where to look: with which kernel to compare, and on which architectures. */
export interface ToExplain {
  readonly baseline: KernelRef;
  /** So few that each kmod with a changed symbol or a compile error is in one of them. */
  readonly arches: readonly string[];
}

/** Undefined where nothing changed that anybody needs, there is nothing to compare with, or all changed with the compiler. */
export function toExplain(run: Run): ToExplain | undefined {
  const { symbols, kernel } = run;
  const baseline = symbols?.change?.baseline ?? run.baseline;
  if (!baseline || baseline.id === kernel.id || symbols?.change?.unreadable) return undefined;
  const troubles = troublesOf(run);
  for (const { arch, everything } of symbols?.change?.arches ?? []) if (everything) troubles.delete(arch);
  const arches: string[] = [];
  const seen = new Set<string>();
  for (;;) {
    const open = [...troubles].map(([arch, of]) => ({ arch, left: [...of].filter((one) => !seen.has(one)) }));
    const [most] = open.toSorted((a, b) => b.left.length - a.left.length);
    if (!most || most.left.length === 0) break;
    arches.push(most.arch);
    for (const one of most.left) seen.add(one);
  }
  return arches.length > 0 ? { baseline, arches } : undefined;
}

/** By architecture, who has trouble with the kernel's source: names of kmods, and the stablelist. */
function troublesOf({ symbols, intents }: Run): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const add = (arch: string, who: string) => found.set(arch, (found.get(arch) ?? new Set()).add(who));
  for (const { kmod, arches } of symbols?.kmods ?? [])
    for (const { arch, answer, changed } of arches)
      if (answer === 'incompatible' && changed.count > 0) add(arch, kmod);
  for (const { arch, listed } of symbols?.change?.arches ?? [])
    if (listed?.some(({ after }) => after !== null)) add(arch, 'stablelist');
  for (const { kmod, evidence } of ownEvidence(intents))
    if (evidence.errors.some(({ kind }) => kind === 'source')) add(evidence.arch, kmod);
  return found;
}
