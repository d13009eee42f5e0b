/** What persons say to a gate: waivers, and orders about a run. They are facts in the store, which a running gate heeds. */
import { userInfo } from 'node:os';
import type { Config } from '../config/config.ts';
import { hasChangedTags } from '../core/judge.ts';
import type { Order, Run, Waiver } from '../core/model.ts';
import { matcher } from '../core/names.ts';
import { describeOrder, describeWaiver, plural } from '../core/wording.ts';
import { OvertakenError } from '../store/error.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { parseUntil } from './dates.ts';
import { CheckError } from './error.ts';
import { dateTime, type Output, table } from './text.ts';

export interface WaiveOptions {
  readonly kernel: string;
  readonly kmod: string;
  readonly reason: string;
  /** A date, or a duration from now. */
  readonly until?: string;
  readonly by?: string;
  readonly gate?: string;
}

/** `kmod-gate waive`. Throws CheckError for what cannot be meant, StoreError. */
export async function waive(config: Config, output: Output, options: WaiveOptions): Promise<void> {
  assertGate(config, options.gate);
  const at = Date.now();
  const until = options.until === undefined ? null : parseUntil(options.until, at);
  const { kernel, kmod, reason } = options;
  if (reason.trim() === '')
    throw new CheckError('--reason: say why; whoever reads the verdict will want to know');
  const waiver = { at, by: whoIs(options.by), reason, gate: options.gate ?? null, kernel, kmod, until };
  await withStore(config, 'append', async (store) => {
    const runs = kernel === 'next' ? [] : await runsSpokenOf(store, config, waiver);
    const id = await store.waive(waiver, runs);
    const about = runs.map((run) => `  ${run.kernel.nvr} at gate ${run.gate}, ${standOf(run)}\n`).join('');
    const none =
      kernel === 'next'
        ? 'It is for the kernel that comes next.\n'
        : 'It speaks of no kernel that is undecided or blocked.\n';
    output.write(
      `waiver ${id}: ${kmod} ${describeWaiver(waiver)}\n${about === '' ? none : `It speaks of\n${about}`}`,
    );
  });
}

/** `kmod-gate waivers`: those that hold, or all. */
export async function listWaivers(
  config: Config,
  output: Output,
  { all, json }: { readonly all: boolean; readonly json: boolean },
): Promise<void> {
  const now = Date.now();
  const waivers = await withStore(config, 'read', (store) => store.waivers());
  const shown = waivers.filter((waiver) => all || stateOf(waiver, now) === 'holds');
  if (json) {
    const rows = shown.map((waiver) => ({ ...waiver, state: stateOf(waiver, now) }));
    output.write(`${JSON.stringify({ waivers: rows }, null, 2)}\n`);
    return;
  }
  if (shown.length === 0) {
    output.write(all ? 'There has been no waiver.\n' : 'No waiver holds; --all lists those that did.\n');
    return;
  }
  const rows = shown.map((waiver) => {
    const { id, gate, kernel, kmod, by, at, until, ended, reason } = waiver;
    const end = ended
      ? `ended by ${ended.by}, ${dateTime(ended.at)}`
      : until === null
        ? '-'
        : dateTime(until);
    return [
      String(id),
      stateOf(waiver, now),
      gate ?? '*',
      kernel,
      kmod,
      `${by}, ${dateTime(at)}`,
      end,
      reason,
    ];
  });
  output.write(table([['ID', 'STATE', 'GATE', 'KERNEL', 'KMOD', 'BY', 'UNTIL', 'REASON'], ...rows]));
}

const stateOf = ({ ended, until }: Waiver, now: number): 'holds' | 'ended' | 'expired' =>
  ended ? 'ended' : until !== null && until <= now ? 'expired' : 'holds';

/** `kmod-gate unwaive`: end a waiver. What it let through stays where it is. */
export async function unwaive(config: Config, output: Output, id: string, by?: string): Promise<void> {
  await withStore(config, 'append', async (store) => {
    const waiver = (await store.waivers()).find((one) => String(one.id) === id);
    if (!waiver) throw new CheckError(`${id}: no such waiver; "kmod-gate waivers" lists them`);
    if (waiver.ended) throw new CheckError(`waiver ${id} was ended by ${waiver.ended.by} already`);
    await store.endWaiver(waiver, whoIs(by), Date.now());
    output.write(`waiver ${id} has ended: ${waiver.kmod} ${describeWaiver(waiver)}\n`);
  });
}

export interface OrderOptions {
  readonly reason?: string;
  readonly by?: string;
  readonly gate?: string;
  readonly kmod?: string;
}

/** `kmod-gate retry|hold|release|cancel KERNEL`: asked of each live run on it. Throws CheckError, StoreError. */
export async function order(
  config: Config,
  output: Output,
  kind: Order['kind'],
  subject: string,
  options: OrderOptions,
): Promise<void> {
  assertGate(config, options.gate);
  const { reason = '', kmod = null } = options;
  await withStore(config, 'append', async (store) => {
    const runs = await liveRunsOf(store, config, subject, options.gate);
    for (const run of runs) {
      assertUseful(kind, run, kmod);
      const said = { at: Date.now(), by: whoIs(options.by), kind, reason, kmod };
      await store.order(run, said).catch((error: unknown) => {
        throw error instanceof OvertakenError ? new CheckError(error.message) : error;
      });
      output.write(`${run.kernel.nvr} at gate ${run.gate}: ${describeOrder(said)}\n`);
    }
  });
}

function assertUseful(kind: Order['kind'], run: Run, kmod: string | null): void {
  const { orders, kmods, gate, intents, kernel } = run;
  if (kind === 'retry' && hasChangedTags(intents))
    throw new CheckError(
      `gate ${gate} is changing the tags of ${kernel.nvr} already; when it is done, tag it into the watch tag again to try it anew`,
    );
  const held = orders.findLast((one) => one.kind === 'hold' || one.kind === 'release')?.kind === 'hold';
  if (kind === 'release' && !held)
    throw new CheckError(
      `nobody holds it at gate ${gate}; what the gate itself holds, "kmod-gate waive" or "retry" may move`,
    );
  if (kmod !== null && !kmods.some(({ name }) => matcher([kmod])(name)))
    throw new CheckError(`--kmod ${kmod}: none of the ${plural(kmods.length, 'kmod')} of the run`);
}

async function liveRunsOf(
  store: Store,
  { gates }: Config,
  subject: string,
  gate: string | undefined,
): Promise<Run[]> {
  const kernel = await store.kernel(/^\d+$/.test(subject) ? Number(subject) : subject);
  if (!kernel) throw new CheckError(`${subject}: no such kernel in the store; "kmod-gate status" lists them`);
  const newest = await latestRuns(store, kernel.id);
  const runs = newest.filter((run) => gate === undefined || run.gate === gate);
  const live = runs.filter(({ closing }) => !closing);
  if (live.length > 0) return live;
  const [over] = runs;
  if (!over)
    throw new CheckError(
      `${kernel.nvr} has not stood before ${gate === undefined ? 'a gate' : `gate ${gate}`}`,
    );
  const watch = gates.find(({ name }) => name === over.gate)?.watch ?? 'the watch tag';
  throw new CheckError(
    `${kernel.nvr}: its run at gate ${over.gate} is over (${over.closing?.how}: ${over.closing?.why}); tag it into ${watch} again to try it anew`,
  );
}

/** The newest run of each gate on a kernel build. */
async function latestRuns(store: Store, build: number): Promise<Run[]> {
  const newest = new Map<string, Run>();
  for (const run of await store.runsOf(build)) if (!newest.has(run.gate)) newest.set(run.gate, run);
  return [...newest.values()];
}

/** Runs that a waiver may move: live ones, and those that blocked. */
async function runsSpokenOf(
  store: Store,
  { gates }: Config,
  { kernel, gate }: Pick<Waiver, 'kernel' | 'gate'>,
): Promise<Run[]> {
  const speaks = matcher([kernel]);
  const builds = (await store.kernels()).filter(({ nvr }) => speaks(nvr));
  const runs = await Promise.all(builds.map(({ id }) => latestRuns(store, id)));
  const known = new Set(gates.map(({ name }) => name));
  return runs
    .flat()
    .filter((run) => known.has(run.gate) && (gate === null || run.gate === gate))
    .filter(({ closing, verdict }) => !closing || verdict?.verdict === 'block');
}

const standOf = ({ closing, verdict }: Run): string =>
  closing ? `which is ${closing.how}: ${closing.why}` : `verdict ${verdict?.verdict ?? 'not made yet'}`;

function assertGate({ gates }: Config, gate: string | undefined): void {
  if (gate === undefined || gates.some(({ name }) => name === gate)) return;
  throw new CheckError(`--gate ${gate}: no such gate, only ${gates.map(({ name }) => name).join(', ')}`);
}

/** Who speaks: as said, else who is logged in, before sudo. */
function whoIs(by: string | undefined): string {
  return by ?? process.env['SUDO_USER'] ?? userInfo().username;
}

async function withStore<T>(
  { store: { url } }: Config,
  mode: 'read' | 'append',
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openStore(url, { mode });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
