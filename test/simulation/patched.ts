/**
 * Plays a world with a line of the gate's source changed: how a mistake that was mended once is put back, to see that
 * the checker would find it. The files on disk stay as they are.
 */
import { fileURLToPath } from 'node:url';
import type { Played } from './play.ts';

/** A change of one file's text. */
export interface Change {
  /** Below the root of the project. */
  readonly file: string;
  /** What stands there exactly once. */
  readonly from: string;
  readonly to: string;
}

/** A bug to plant in the source. */
export interface Patch {
  /** As FINDINGS.md numbers it, or a name. */
  readonly finding: string;
  /** The bug, in words. */
  readonly what: string;
  readonly changes: readonly Change[];
  /** The first that shows it; `npm run sim -- --plants` finds it. */
  readonly seed: string;
}

/** The source as it stands on disk, to be loaded with one patch after the other. */
export interface Source {
  /**
   * Load the simulation, patched: what a change reaches anew, and nothing else. Rejects where a text to change is not
   * there, or more than once.
   * @returns plays with the source as it is patched
   */
  patched(patch: Pick<Patch, 'finding' | 'changes'>): Promise<(seed: string) => Promise<Played>>;
  close(): Promise<void>;
}

/** The root of the project, from the source and from `build/sim` alike. */
const ROOT = fileURLToPath(
  new URL(import.meta.url.includes('/build/sim/') ? '../../../../' : '../../', import.meta.url),
);

/** Loads nothing yet. */
export async function openSource(): Promise<Source> {
  // Nothing but this needs it, and it takes a second to load.
  const { createViteServer } = await import('vitest/node');
  let patch: Pick<Patch, 'finding' | 'changes'> = { finding: 'none', changes: [] };
  const left = new Set<Change>();
  const server = await createViteServer({
    root: ROOT,
    configFile: false,
    logLevel: 'silent',
    appType: 'custom',
    server: { middlewareMode: true, hmr: false, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
    plugins: [
      {
        name: 'plant',
        enforce: 'pre',
        transform(code, id) {
          let text = code;
          for (const change of patch.changes) {
            if (id !== ROOT + change.file) continue;
            left.delete(change);
            const parts = text.split(change.from);
            if (parts.length !== 2)
              throw new Error(
                `plant ${patch.finding}: ${change.file} has ${parts.length - 1} times, not once: ${change.from}`,
              );
            text = parts.join(change.to);
          }
          return text;
        },
      },
    ],
  });
  const load = async <T>(file: string) => (await server.ssrLoadModule(`/test/simulation/${file}`)) as T;
  /** The files of a patch, and all that imports them, are loaded again when they are wanted next. */
  const forget = () => {
    const { moduleGraph } = server.environments.ssr;
    for (const { file } of patch.changes)
      for (const module of moduleGraph.getModulesByFile(ROOT + file) ?? [])
        moduleGraph.invalidateModule(module);
  };
  return {
    async patched(next) {
      forget();
      patch = next;
      forget();
      left.clear();
      for (const change of patch.changes) left.add(change);
      const { play } = await load<typeof import('./play.ts')>('play.ts');
      const { watch } = await load<typeof import('./watch.ts')>('watch.ts');
      const [unused] = left;
      if (unused) throw new Error(`plant ${patch.finding}: ${unused.file} is nothing that a world needs`);
      return (seed) => play(seed, { watch });
    },
    close: () => server.close(),
  };
}
