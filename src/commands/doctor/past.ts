/** The store, and what it remembers: what the hub said to a gate last, it would say again. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { Run, Write } from '../../core/model.ts';
import { plural, span } from '../../core/wording.ts';
import { isPostgresUrl } from '../../store/address.ts';
import { lookAtPostgres, type PostgresLook } from '../../store/look.ts';
import { hubUrl, withStore } from '../../store/open.ts';
import type { Heard, Store } from '../../store/store.ts';
import { type Check, info, ok, unsure, wrong } from './check.ts';

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

type Where = Pick<Config, 'store' | 'koji'>;

/** @param queue the configured queue of the bus, if there is one */
export async function examineStore(where: Where, queue: string | undefined): Promise<[Check[], Past]> {
  if (isPostgresUrl(where.store.url)) return examinePostgres(where, queue);
  const path = where.store.url.replace(/^sqlite:/, '');
  if (path === ':memory:') {
    const mend = 'everything is forgotten at the end; name a file in store.url';
    return [[unsure(STORE, 'it is in memory', mend)], NO_PAST];
  }
  try {
    // SQLite makes files beside its own.
    accessSync(dirname(path), constants.W_OK);
    if (!existsSync(path)) return [[ok(STORE, `${path} does not exist yet; run makes it`)], NO_PAST];
    accessSync(path, constants.W_OK);
    const [check, past] = await readPast(where, path, 'another file', queue);
    return [[check], past];
  } catch (error) {
    const mend = 'name a file in a folder that this user may write to in store.url';
    return [[wrong(STORE, error instanceof Error ? error.message : String(error), mend)], NO_PAST];
  }
}

async function examinePostgres(where: Where, queue: string | undefined): Promise<[Check[], Past]> {
  try {
    const look = await lookAtPostgres(where.store);
    const { name, version, user, schema, isStore } = look;
    const rights = `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${user}, and let the tables belong to ${user}`;
    if (!look.mayWrite)
      return [[wrong(STORE, `${name}: ${user} may not write to its tables`, rights)], NO_PAST];
    const makes = look.mayMake
      ? []
      : [wrong(STORE, `${name}: ${user} may make no tables in schema ${schema}`, rights)];
    if (!isStore) {
      const empty = ok(STORE, `${name}: PostgreSQL ${version}, with no tables yet; run makes them`);
      return [makes.length > 0 ? makes : [empty], NO_PAST];
    }
    const [check, past] = await readPast(where, `${name}: PostgreSQL ${version}`, 'another database', queue);
    return [[check, ...makes, describeHolder(look)], past];
  } catch (error) {
    const mend = 'see store.url, and docs/store.md';
    return [[wrong(STORE, error instanceof Error ? error.message : String(error), mend)], NO_PAST];
  }
}

function describeHolder({ holder, endedFor }: PostgresLook): Check {
  const start = 'start "kmod-gate run"';
  if (holder === null) return info(STORE, 'no gate acts on it now', start);
  if (endedFor <= 0) return ok(STORE, `${holder} acts on it`);
  return unsure(STORE, `${holder} has acted on it, and gave no sign for ${span(endedFor)}`, start);
}

/** Whether it is of the configured hub, and what it remembers. */
async function readPast(
  { store: at, koji: { server } }: Where,
  name: string,
  other: string,
  queue: string | undefined,
): Promise<[Check, Past]> {
  return withStore(at, 'read', async (store) => {
    if (store.hub !== null && store.hub !== hubUrl(server)) {
      const mend = `name ${other} in store.url, or, where the hub itself moved, start once "kmod-gate run --moved-from ${store.hub}"`;
      return [wrong(STORE, `${name} is a store of the hub ${store.hub}`, mend), NO_PAST];
    }
    const live = await store.liveRuns();
    return [ok(STORE, `${name}: ${plural(live.length, 'run')} under way`), await remember(store, queue)];
  });
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
