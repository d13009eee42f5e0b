/** Sources that say the worst in every text that comes from outside. */
import type { Sources } from '../../src/http/sources.ts';

/** HTML, JavaScript, a terminal's orders, and marks that turn the direction of text. */
export const HOSTILE =
  'evil-1-1"\'><img src=x onerror=alert(1)><script>alert(2)</script><b id=evil>\u001b[31m\u202etxet\u2066</b>&lt;';

/** Words of the gate itself, by which pages choose. */
const OWN = [...['outcome', 'verdict', 'status', 'kind', 'whose', 'actor', 'from', 'cells', 'outcomes']];

/** States of waivers. */
const STATES = ['holds', 'expired', 'ended'];

/** Every text of data, but for words of the gate's own. */
export function poison<T>(data: T, key?: string): T;
export function poison(data: unknown, key = ''): unknown {
  if (typeof data === 'string')
    return OWN.includes(key) || STATES.includes(data)
      ? data
      : key === 'url'
        ? 'javascript:alert(3)'
        : HOSTILE;
  if (Array.isArray(data)) return data.map((one) => poison(one, key));
  if (data === null || typeof data !== 'object') return data;
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [
      name,
      name === 'arches' && !Array.isArray(value) ? value : poison(value, name),
    ]),
  );
}

/** The same, of all that sources tell. */
export function hostileSources(sources: Sources): Sources {
  const all = async <T>(answer: Promise<T>): Promise<T> => poison(await answer);
  return {
    ...sources,
    gates: [HOSTILE],
    runs: (wanted) => all(sources.runs(wanted)),
    explain: (subject) => all(sources.explain(subject)),
    needOf: (report) => poison(sources.needOf(report)),
    waivers: () => all(sources.waivers()),
    health: () => ({ ...sources.health(), trouble: { since: 1, reason: HOSTILE } }),
    needs: (limit) => all(sources.needs(limit)),
    matrix: (wanted) => all(sources.matrix(wanted)),
    kmod: (name) => all(sources.kmod(name)),
    symbol: (name, before) => all(sources.symbol(name, before)),
    cause: (which, before) => all(sources.cause(which, before)),
  };
}
