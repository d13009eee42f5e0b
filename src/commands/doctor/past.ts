/** The store, and what it remembers: what the hub said to a gate last, it would say again. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { Run, Write } from '../../core/model.ts';
import { plural } from '../../core/wording.ts';
import { hubUrl, withStore } from '../../store/open.ts';
import type { Heard, Store } from '../../store/store.ts';
import { type Check, ok, unsure, wrong } from './check.ts';

/** A write of a gate that the hub carried out, or refused. */
export interface Deed {
  readonly gate: string;
  readonly kernel: string;
  readonly write: Write;
  readonly at: number;
  /** The hub's words where it did not let the gate. */
  readonly refused?: string;
}

/** What the store remembers; nothing where there is none. */
export interface Past {
  /** Whether there is a store that could remember. */
  readonly known: boolean;
  /** Newest first. */
  readonly deeds: readonly Deed[];
  /** The newest message of the configured queue. */
  readonly heard?: Heard;
}

const STORE = 'store';
const NO_PAST: Past = { known: false, deeds: [] };
/** How many runs are looked through for deeds. */
const REMEMBERED = 50;

/** @param queue the configured queue of the bus, if there is one */
export async function examineStore(
  { store: { url }, koji: { server } }: Pick<Config, 'store' | 'koji'>,
  queue: string | undefined,
): Promise<[Check, Past]> {
  const path = url.replace(/^sqlite:/, '');
  if (path === ':memory:') {
    const mend = 'everything is forgotten at the end; name a file in store.url';
    return [unsure(STORE, 'it is in memory', mend), NO_PAST];
  }
  try {
    // SQLite makes files beside its own.
    accessSync(dirname(path), constants.W_OK);
    if (!existsSync(path)) return [ok(STORE, `${path} does not exist yet; run makes it`), NO_PAST];
    accessSync(path, constants.W_OK);
    return await withStore(url, 'read', async (store) => {
      if (store.hub !== null && store.hub !== hubUrl(server)) {
        const mend = `name another file in store.url, or, where the hub itself moved, start once "kmod-gate run --moved-from ${store.hub}"`;
        return [wrong(STORE, `${path} is a store of the hub ${store.hub}`, mend), NO_PAST];
      }
      const live = await store.liveRuns();
      return [ok(STORE, `${path}: ${plural(live.length, 'run')} under way`), await remember(store, queue)];
    });
  } catch (error) {
    const mend = 'name a file in a folder that this user may write to in store.url';
    return [wrong(STORE, error instanceof Error ? error.message : String(error), mend), NO_PAST];
  }
}

async function remember(store: Store, queue: string | undefined): Promise<Past> {
  const heard = queue === undefined ? undefined : await store.lastHeard(queue);
  const deeds = (await store.runs(REMEMBERED)).flatMap(deedsOf).toSorted((a, b) => b.at - a.at);
  return { known: true, deeds, ...(heard && { heard }) };
}

/** In the words of `koji.ActionNotAllowed`: a policy, a lock, a permission; other failures say nothing of rights. */
const REFUSED = /policy violation|fault 1004|tag is locked|tag requires \S+ permission|only admins may/;

/** What has ended otherwise than by a refusal was let through: a build that fails was begun. */
function deedsOf({ gate, kernel, intents }: Run): Deed[] {
  return intents.flatMap(({ write, ending }) => {
    if (!ending || ending.how === 'lost') return [];
    const deed = { gate, kernel: kernel.nvr, write, at: ending.at };
    if (ending.how === 'done' || (ending.build?.arches.length ?? 0) > 0) return [deed];
    const why = [ending.build?.fault?.text ?? '', ending.why].find((text) => REFUSED.test(text));
    return why === undefined ? [] : [{ ...deed, refused: why.trimEnd().split('\n').at(-1) ?? '' }];
  });
}
