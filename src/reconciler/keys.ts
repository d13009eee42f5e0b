/**
 * The keys of the queue, which say what there is to do. Each is at work once at a time, and each by itself: what one of
 * them waits for, or fails at, stops no other.
 */

/** Look at all that any lost message would have told. */
export const SWEEP = 'sweep';
/** Look for why kernels break kmods. */
export const CAUSES = 'causes';
/** Look at what persons have said. */
export const PEOPLE = 'people';
/** Look at which kernels stand in a watched tag, or at who builds in a build tag. */
export const tagKey = (name: string): string => `tag ${name}`;
/** Ask what a build is, and which gates it concerns. */
export const buildKey = (build: number): string => `build ${build}`;
/** Look at the run of a gate on a kernel build; begin it where there is none. */
export const runKey = (gate: string, build: number): string => `run ${build} ${gate}`;
/** Read what a task of a run's has come to. */
export const taskKey = (task: number): string => `task ${task}`;
/** Read the symbols of a run's kernel and kmods. */
export const symbolsKey = (gate: string, build: number): string => `symbols ${build} ${gate}`;
/** Find a repo that holds a baseline of a run. */
export const repoKey = (gate: string, build: number, baseline: number): string =>
  `repo ${build} ${baseline} ${gate}`;

/** A key in its parts; names may have spaces. */
export type Key =
  | { readonly kind: 'sweep' | 'people' | 'causes' }
  | { readonly kind: 'tag'; readonly name: string }
  | { readonly kind: 'build' | 'task'; readonly id: number }
  | { readonly kind: 'run' | 'symbols'; readonly build: number; readonly gate: string }
  | { readonly kind: 'repo'; readonly build: number; readonly baseline: number; readonly gate: string };

export function parseKey(key: string): Key {
  const [kind = '', rest = ''] = key.split(/ (.*)/s);
  const [first = '', more = ''] = rest.split(/ (.*)/s);
  switch (kind) {
    case 'sweep':
    case 'people':
    case 'causes':
      return { kind };
    case 'tag':
      return { kind, name: rest };
    case 'build':
    case 'task':
      return { kind, id: Number(rest) };
    case 'run':
    case 'symbols':
      return { kind, build: Number(first), gate: more };
    case 'repo': {
      const [baseline = '', gate = ''] = more.split(/ (.*)/s);
      return { kind, build: Number(first), baseline: Number(baseline), gate };
    }
    default:
      throw new Error(`no such key: ${key}`);
  }
}
