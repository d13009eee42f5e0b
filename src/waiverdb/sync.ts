/** Waivers of a WaiverDB and of this store, brought together: read there, ended there, written there. */
import type { Gate, Waiver } from '../core/model.ts';
import type { Post, RecordThere, Store } from '../store/store.ts';
import { type WaiverDb, WaiverDbError } from './client.ts';
import { madeAt, type Read, readRows, UnreadableError, type WaiverRecord } from './rows.ts';

export interface Sync {
  readonly store: Store;
  readonly db: WaiverDb;
  readonly settings: {
    readonly url: string;
    readonly productVersion: string;
    /** With `GATE` for the gate's name. */
    readonly testcase: string;
    readonly write: boolean;
    readonly proxy: boolean;
  };
  readonly gates: readonly Pick<Gate, 'name' | 'kernels'>[];
  /** For how long a waiver may hold at a gate, in ms; null: without end. */
  readonly longest: (gate: string) => number | null;
  /** Milliseconds since the epoch, by the gate's clock and by the calendar. */
  readonly now: () => number;
  readonly calendar: () => number;
  /** How long a record whose answer was lost is looked for before it is sent again, in ms. */
  readonly settle: number;
}

/**
 * Read what the WaiverDB has for each gate, and write what it lacks. What cannot be read changes nothing.
 * @returns what went wrong, for people
 * @throws StoreError and what else the store throws
 */
export async function syncWaivers(sync: Sync): Promise<string[]> {
  const problems: string[] = [];
  for (const gate of sync.gates) {
    try {
      problems.push(...(await syncGate(sync, gate)));
    } catch (error) {
      if (!(error instanceof WaiverDbError || error instanceof UnreadableError)) throw error;
      problems.push(`gate ${gate.name}: ${error.message}; what is known of it counts as before`);
    }
  }
  return problems;
}

/** What is known of one gate's testcase. */
interface Known extends Read {
  readonly gate: Pick<Gate, 'name' | 'kernels'>;
  readonly source: string;
  readonly testcase: string;
  readonly there: readonly RecordThere[];
  readonly posts: readonly Post[];
  readonly waivers: readonly Waiver[];
}

async function syncGate(sync: Sync, gate: Known['gate']): Promise<string[]> {
  const { store, db, settings } = sync;
  const { productVersion } = settings;
  const testcase = settings.testcase.replaceAll('GATE', gate.name);
  const source = `${settings.url} ${productVersion} ${testcase}`;
  // What was sent before the list was asked for, so that it can be in there.
  const posts = (await store.posts()).filter((post) => post.source === source);
  const rows = await db.records({ testcase, productVersion });
  const there = await store.recordsThere();
  const lost = posts.filter(
    (post) =>
      !there.some((one) => one.source === source && one.waiver === post.waiver && one.kind === post.kind),
  );
  const isSent = (row: WaiverRecord) => lost.find((post) => markOf(store, post) === marksOf(row));
  const isOwn = (row: WaiverRecord) =>
    there.some((one) => one.source === source && one.there === row.id && one.kind !== 'read') ||
    isSent(row) !== undefined;
  const read = readRows(rows, { testcase, productVersion }, isOwn);
  for (const row of read.records.values()) {
    const post = isSent(row);
    if (post) await store.noteThere({ source, there: row.id, waiver: post.waiver, kind: post.kind });
  }
  const known: Known = {
    ...{ ...read, gate, source, testcase, posts },
    there: await store.recordsThere(),
    waivers: await store.waivers(),
  };
  await takeIn(sync, known);
  await takeBack(sync, known);
  const told = read.unread.map(
    (text) => `gate ${gate.name}: ${text}; it counts for nothing, and what it may take back neither`,
  );
  return settings.write ? [...told, ...(await write(sync, known))] : told;
}

/** What holds there and is not known here becomes a waiver. */
async function takeIn(sync: Sync, { holding, there, source, gate }: Known): Promise<void> {
  const { store, now, calendar } = sync;
  for (const row of holding) {
    const { id, subject_identifier: kernel, scenario, username, proxied_by: proxy, comment } = row;
    if (there.some((one) => one.source === source && one.there === id)) continue;
    if (!gate.kernels.includes(packageOf(kernel))) continue;
    const longest = sync.longest(gate.name);
    // A clock that is ahead there makes no waiver longer.
    const since = Math.min(madeAt(row) ?? 0, calendar());
    const until = longest === null ? null : since + longest;
    if (until !== null && until <= calendar()) continue;
    const said = oneLine(comment ?? '').slice(0, LONGEST_REASON) || 'no reason is given';
    const waiver = {
      at: now(),
      by: oneLine(proxy ? `${username} (by ${proxy})` : username),
      reason: `${said} (WaiverDB ${id})`,
      ...{ gate: gate.name, kernel, kmod: scenario ?? '*', until },
    };
    const build = await store.kernel(kernel);
    const run = build && (await store.latestRun(gate.name, build.id));
    await store.waive(waiver, run ? [run] : [], { source, there: id });
  }
}

/** What holds there no more ends here, and so does what was given here and somebody takes back there. */
async function takeBack(sync: Sync, known: Known): Promise<void> {
  const { store, now } = sync;
  const { there, source, holding, takenBack, records, waivers } = known;
  for (const { source: of, there: id, waiver, kind } of there) {
    if (of !== source || kind === 'ended') continue;
    const held = waivers.find((one) => one.id === waiver);
    if (!held || held.ended) continue;
    const by = takenBack.get(id);
    const ends = kind === 'read' ? !holding.some((row) => row.id === id) : by !== undefined;
    if (!ends) continue;
    const newer = [...records.values()].find(
      (row) =>
        row.id > id &&
        row.waived &&
        row.subject_identifier === held.kernel &&
        (row.scenario ?? '*') === held.kmod,
    );
    const who = by ?? (records.has(id) ? newer?.username : undefined) ?? 'WaiverDB, which has it no more,';
    const live = (await store.liveRuns()).filter((run) => run.waivers.some((one) => one.id === waiver));
    await store.endWaiver(held, by === undefined && !newer ? who : `${who} in WaiverDB`, now(), live);
  }
}

/** Send what the WaiverDB lacks: waivers that are given here, and that they have ended. Once each. */
async function write(sync: Sync, known: Known): Promise<string[]> {
  const { store, db, settings, now, settle } = sync;
  const { source, testcase, posts, waivers, gate, takenBack } = known;
  const problems: string[] = [];
  for (const waiver of waivers.toReversed()) {
    const kind = lacking(sync, known, waiver);
    if (!kind) continue;
    const tried = posts.find((post) => post.waiver === waiver.id && post.kind === kind);
    // Its answer was lost, and it may yet appear there.
    if (tried && now() < tried.at + settle) continue;
    const given = known.there.find((one) => one.source === source && one.waiver === waiver.id);
    if (kind === 'ended' && given && takenBack.has(given.there)) continue;
    const post = { source, waiver: waiver.id, kind, at: now() };
    await store.notePost(post);
    const { by, kernel, kmod, reason } = waiver;
    const why = kind === 'given' ? reason : `over: ${reason}`;
    try {
      const id = await db.create({
        ...{ subject: kernel, testcase, productVersion: settings.productVersion },
        ...{ scenario: kmod === '*' ? null : kmod, waived: kind === 'given' },
        comment: `${why} (${by}) ${markOf(store, post)}`,
        ...(settings.proxy && { username: by }),
      });
      await store.noteThere({ source, there: id, waiver: waiver.id, kind });
    } catch (error) {
      if (!(error instanceof WaiverDbError)) throw error;
      problems.push(`gate ${gate.name}: waiver ${waiver.id} is not written there: ${error.message}`);
      // Whatever follows would fare no better.
      break;
    }
  }
  return problems;
}

/** What is to be written of a waiver; undefined: nothing. A pattern names no build, and came nowhere but from here. */
function lacking(
  { calendar }: Sync,
  { there, source, gate }: Known,
  waiver: Waiver,
): Post['kind'] | undefined {
  const { id, kernel, kmod, until, ended, gate: only } = waiver;
  const records = there.filter((one) => one.waiver === id);
  if (records.some(({ kind }) => kind === 'read')) return undefined;
  if ((only !== null && only !== gate.name) || !gate.kernels.includes(packageOf(kernel))) return undefined;
  if (/[*?]/.test(kernel) || (kmod !== '*' && /[*?]/.test(kmod))) return undefined;
  const has = (kind: Post['kind']) => records.some((one) => one.source === source && one.kind === kind);
  const isOver = ended !== undefined || (until !== null && until <= calendar());
  if (!isOver) return has('given') ? undefined : 'given';
  return has('given') && !has('ended') ? 'ended' : undefined;
}

/** At the end of a comment it tells which waiver of which store a record was written for. */
const markOf = (
  { installation: id }: Pick<Store, 'installation'>,
  { waiver, kind }: Pick<Post, 'waiver' | 'kind'>,
): string => `[kmod-gate ${id} ${waiver} ${kind}]`;

const marksOf = ({ comment, waived }: WaiverRecord): string | undefined => {
  const mark = /\[kmod-gate \S+ \d+ (given|ended)\]$/.exec(comment ?? '');
  // Who copies the comment of another record has not written it for that.
  return mark && (mark[1] === 'given') === waived ? mark[0] : undefined;
};

/** `kernel` of `kernel-6.1-1.el9`. */
const packageOf = (nvr: string): string => nvr.replace(/-[^-]*-[^-]*$/, '');

const LONGEST_REASON = 1_000;

const oneLine = (text: string): string => text.trim().replace(/\s+/g, ' ');
