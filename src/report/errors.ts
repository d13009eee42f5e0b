/** First errors of builds, each told once. */
import type { KmodReport, RunReport } from './report.ts';

type BuildError = KmodReport['errors'][number];

/** Errors with the same words are one, wherever they are: what the kernel took away, each kmod misses somewhere else. */
export const keyOf = ({ arch, message }: BuildError): string => `${arch}  ${message}`;

/** By their key the errors that several kmods have: how many kmods, and where each has it. */
export function sharedErrors({
  kmods,
}: Pick<RunReport, 'kmods'>): Map<string, { kmods: number; places: string[][] }> {
  const all = kmods.flatMap(({ nvr, errors }) => errors.map((error) => ({ nvr, ...error })));
  const keys = new Set(all.map(keyOf));
  const found = [...keys].map((key) => {
    const having = all.filter((error) => keyOf(error) === key);
    const places = having.map(({ nvr, file, line }) => [nvr, line > 0 ? `${file}:${line}` : file]);
    return [key, { kmods: new Set(having.map(({ nvr }) => nvr)).size, places }] as const;
  });
  return new Map(found.filter(([, { kmods }]) => kmods > 1));
}
