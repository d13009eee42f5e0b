/** What persons say to a gate: waivers, and orders about a run. They are facts in the store, which a running gate heeds. */
import { userInfo } from 'node:os';
import type { Config } from '../config/config.ts';
import { standings } from '../core/judge.ts';
import type { KernelBuild, Order, Run, Waiver } from '../core/model.ts';
import { compareEvr, matcher } from '../core/names.ts';
import { hasChangedTags, holdOf } from '../core/people.ts';
import { verdictOf } from '../core/verdict.ts';
import { describeOrder, describeWaiver, moment } from '../core/wording.ts';
import { waiverReport } from '../report/report.ts';
import { timeBeside } from '../store/clock.ts';
import { OvertakenError } from '../store/error.ts';
import { withStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { parseUntil } from './dates.ts';
import { CheckError } from './error.ts';
import type { Records } from './records.ts';
import { storeTrouble } from './storetrouble.ts';
import { line, type Output, paint, table } from './text.ts';
import { assertEnds, assertKernel, assertNotAll, hubLookUp, type LookUp } from './waivercare.ts';

export interface WaiveOptions {
  readonly kernel: string;
  readonly kmod: string;
  readonly reason: string;
  /** A date, or a duration from now. */
  readonly until?: string;
  readonly by?: string;
  readonly gate?: string;
  /** A pattern for all kmods is meant. */
  readonly allKmods?: boolean;
}

/** What somebody has said: the waiver that it is about, and the runs. */
export interface Spoken {
  readonly waiver?: number;
  readonly runs: readonly Run[];
}

/** Where a person speaks: beside a gate, or in a rehearsal, which has a clock of its own. */
export interface Floor {
  readonly config: Config;
  readonly store: Store;
  readonly output: Output;
  /** Milliseconds since the epoch, by the calendar. */
  readonly now: () => number;
  /** What the hub knows of a kernel by its NVR; absent: nobody is asked, as in a rehearsal. */
  readonly lookUp?: LookUp;
}

/** The floor beside a gate, for as long as somebody speaks. */
const beside = (config: Config, output: Output, speak: (floor: Floor) => Promise<Spoken>): Promise<Spoken> =>
  withStore(
    config.store,
    'append',
    (store) => speak({ config, store, output, now: Date.now, lookUp: hubLookUp(config) }),
    config.koji.server,
  ).catch((error: unknown) => {
    throw storeTrouble(config.store.url, error);
  });

/** `kmod-gate waive`. Throws CheckError for what cannot be meant, StoreError. */
export const waive = (config: Config, output: Output, options: WaiveOptions): Promise<Spoken> =>
  beside(config, output, (floor) => sayWaive(floor, options));

/** The same, said there. */
export async function sayWaive(floor: Floor, options: WaiveOptions): Promise<Spoken> {
  const { config, store, output, now } = floor;
  assertGate(config, options.gate);
  const { kernel, kmod } = options;
  for (const [name, text] of [['kernel', kernel] as const, ['kmod', kmod] as const])
    if (text.trim() === '')
      throw new CheckError(`--${name}: say which; a name, or a pattern such as "kmod-*"`);
  if (/^\d+$/.test(kernel))
    throw new CheckError(`--kernel ${kernel}: an NVR or a pattern of NVRs, no build id`);
  const reason = oneLine(options.reason);
  if (reason === '') throw new CheckError('--reason: say why; whoever reads the verdict will want to know');
  const by = whoIs(options.by);
  const at = await timeBeside(store, now());
  const until = options.until === undefined ? null : parseUntil(options.until, now());
  assertEnds(config, options, until, now());
  await assertKernel(floor, kernel);
  await assertNotAll(store, options);
  const waiver = { at, by, reason, gate: options.gate ?? null, kernel, kmod, until };
  const runs = kernel === 'next' ? [] : await runsSpokenOf(store, config, waiver);
  const id = await store.waive(waiver, runs);
  output.write(line(`waiver ${id}: ${kmod} ${describeWaiver(waiver)}`));
  for (const { id } of runs) {
    const run = await store.run(id);
    if (!run) continue;
    const newer = await newerThan(store, run);
    const effect = newer ? `stays out: ${newer.nvr} is newer and has passed` : effectOn(config, run, at);
    output.write(line(`  ${run.kernel.nvr} at gate ${run.gate}: ${effect}`));
  }
  if (kernel === 'next') output.write('It is for the kernel that comes next.\n');
  else if (runs.length === 0)
    output.write(line(`It waits for a kernel: none that ${kernel} names is undecided or blocked now.`));
  return { waiver: id, runs };
}

/** A newer kernel that the gate let through: no waiver brings back an older one. The gate asks the hub, too. */
async function newerThan(store: Store, { gate, kernel }: Run): Promise<KernelBuild | undefined> {
  const passed = await store.lastPassed(gate, kernel.name, kernel.id);
  return passed && compareEvr(passed, kernel) > 0 ? passed : undefined;
}

/** What becomes of a run by the waivers that it has now. */
function effectOn({ gates }: Config, run: Run, now: number): string {
  const gate = gates.find(({ name }) => name === run.gate);
  const kmods = gate ? standings(gate, run, now) : [];
  if (!gate || kmods.some(({ state }) => state !== 'judged'))
    return 'not decided yet; its verdict will heed it';
  const { verdict, reasons } = verdictOf(gate, run, now, kmods);
  const hold = run.closing ? undefined : holdOf(run);
  if (verdict === 'promote' && hold) return `would be let through, but ${hold.by} holds it`;
  if (verdict === 'promote')
    return gate.mode === 'observe' ? 'would be let through now' : 'the gate lets it through now';
  return `still ${(run.verdict?.verdict ?? verdict) === 'block' ? 'blocked' : 'held'}: ${reasons[0]}`;
}

/** `kmod-gate waivers`: those that hold, or all. */
export async function listWaivers(
  records: Pick<Records, 'waivers'>,
  output: Output,
  { all, json }: { readonly all: boolean; readonly json: boolean },
): Promise<void> {
  const waivers = await records.waivers();
  const shown = waivers.filter(({ state }) => all || state === 'holds');
  if (json) {
    output.write(`${JSON.stringify({ waivers: shown }, null, 2)}\n`);
    return;
  }
  if (shown.length === 0) {
    const before = waivers.length > 0 ? '; --all lists those that did' : '';
    output.write(line(`No waiver holds${before}.`));
    return;
  }
  const rows = shown.map(({ id, state, gate, kernel, kmod, by, at, until, ended, reason }) => [
    String(id),
    state,
    kmod,
    kernel,
    gate ?? 'any',
    by,
    moment(at),
    ended ? `${moment(ended.at)} (${ended.by})` : until === null ? 'no end' : moment(until),
    reason,
  ]);
  const heads = ['ID', 'STATE', 'KMOD', 'KERNEL', 'GATE', 'BY', 'SINCE', 'UNTIL', 'REASON'];
  output.write(table([heads, ...rows], (padded, cell) => paint(output, cell, padded)));
}

export const noSuchWaiver = (id: string): string => `${id}: no such waiver; "kmod-gate waivers" lists them`;

/** `kmod-gate unwaive`: end a waiver. What it let through stays where it is. */
export const unwaive = (config: Config, output: Output, id: string, by?: string): Promise<Spoken> =>
  beside(config, output, (floor) => sayUnwaive(floor, id, by));

/** The same, said there. */
export async function sayUnwaive({ store, output, now }: Floor, id: string, by?: string): Promise<Spoken> {
  const at = await timeBeside(store, now());
  const waiver = (await store.waivers()).find((one) => String(one.id) === id);
  if (!waiver) throw new CheckError(noSuchWaiver(id));
  const { ended, state, until } = waiverReport(waiver, now());
  if (ended) throw new CheckError(`waiver ${id}: ended already, by ${ended.by} at ${moment(ended.at)}`);
  if (state === 'expired') throw new CheckError(`waiver ${id}: expired already, at ${moment(until ?? at)}`);
  const live = (await store.liveRuns()).filter(({ waivers }) => waivers.some((one) => one.id === waiver.id));
  await store.endWaiver(waiver, whoIs(by), at, live);
  output.write(line(`waiver ${id} has ended: ${waiver.kmod} ${describeWaiver(waiver)}`));
  output.write('What it let through stays where it is.\n');
  return { waiver: waiver.id, runs: live };
}

export interface OrderOptions {
  readonly reason?: string;
  readonly by?: string;
  readonly gate?: string;
  readonly kmod?: string;
}

/** `kmod-gate retry|hold|release|cancel KERNEL`: asked of each live run on it. Throws CheckError, StoreError. */
export const order = (
  config: Config,
  output: Output,
  kind: Order['kind'],
  subject: string,
  options: OrderOptions,
): Promise<Spoken> => beside(config, output, (floor) => sayOrder(floor, kind, subject, options));

/** The same, said there. */
export async function sayOrder(
  { config, store, output, now }: Floor,
  kind: Order['kind'],
  subject: string,
  options: OrderOptions,
): Promise<Spoken> {
  assertGate(config, options.gate);
  const { kmod = null } = options;
  const reason = oneLine(options.reason ?? '');
  const runs = meant(kind, await liveRunsOf(store, config, subject, options.gate), kmod);
  const at = await timeBeside(store, now());
  for (const run of runs) {
    const said = { at, by: whoIs(options.by), kind, reason, kmod };
    await store.order(run, said).catch((error: unknown) => {
      throw error instanceof OvertakenError ? new CheckError(error.message) : error;
    });
    output.write(line(`${run.kernel.nvr} at gate ${run.gate}: ${describeOrder(said)}`));
  }
  return { runs };
}

/** Those of the live runs on a kernel that an order can change something of. Throws CheckError where there is none. */
function meant(kind: Order['kind'], runs: readonly Run[], kmod: string | null): readonly Run[] {
  const nvr = runs[0]?.kernel.nvr;
  const gates = runs.map(({ gate }) => gate).join(', ');
  const moving = runs.find(({ intents }) => hasChangedTags(intents));
  if (kind === 'retry' && moving)
    throw new CheckError(
      `gate ${moving.gate} is changing the tags of ${nvr} already; when it is done, tag it into the watch tag again to try it anew`,
    );
  const held = runs.filter(holdOf);
  if (kind === 'release' && held.length === 0)
    throw new CheckError(
      `${nvr}: nobody holds it at gate ${gates}; what the gate itself holds, "kmod-gate waive" or "retry" may move`,
    );
  const having = runs.filter(({ kmods }) => kmod === null || hasKmod(kmods, kmod));
  if (having.length === 0)
    throw new CheckError(
      `--kmod ${kmod}: ${nvr} is tried with none such at gate ${gates}; "kmod-gate explain ${nvr}" lists them`,
    );
  return kind === 'release' ? held : having;
}

const hasKmod = (kmods: Run['kmods'], pattern: string): boolean => {
  const matches = matcher([pattern]);
  return kmods.some(({ name }) => matches(name));
};

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
  const waiving = over.verdict?.verdict === 'block' ? ', or "kmod-gate waive" what blocked it' : '';
  throw new CheckError(
    `${kernel.nvr}: its run at gate ${over.gate} is over (${over.closing?.how}: ${over.closing?.why}); tag it into ${watch} again to try it anew${waiving}`,
  );
}

/** The newest run of each gate on a kernel build. */
async function latestRuns(store: Store, build: number): Promise<Run[]> {
  const newest = new Map<string, Run>();
  for (const run of await store.runsOf(build)) if (!newest.has(run.gate)) newest.set(run.gate, run);
  return [...newest.values()];
}

/**
 * Runs that a waiver may move: live ones, and those that blocked, which try such a kmod.
 * Throws CheckError where the kernel is named and was never tried with one: a slip that nobody would notice.
 */
async function runsSpokenOf(
  store: Store,
  { gates }: Config,
  { kernel, gate, kmod }: Pick<Waiver, 'kernel' | 'gate' | 'kmod'>,
): Promise<Run[]> {
  const speaks = matcher([kernel]);
  const builds = (await store.kernels()).filter(({ nvr }) => speaks(nvr));
  const all = (await Promise.all(builds.map(({ id }) => latestRuns(store, id)))).flat();
  const runs = all.flatMap((run) => {
    const at = gates.find(({ name }) => name === run.gate);
    return at && (gate === null || run.gate === gate) ? [{ run, listed: at.stablelist !== null }] : [];
  });
  const having = runs.filter(
    ({ run, listed }) => hasKmod(run.kmods, kmod) || (listed && matcher([kmod])('stablelist')),
  );
  if (runs.length > 0 && having.length === 0 && !/[*?]/.test(kernel))
    throw new CheckError(
      `--kmod ${kmod}: ${kernel} is tried with none such; "kmod-gate explain ${kernel}" lists them`,
    );
  return having
    .map(({ run }) => run)
    .filter(
      ({ closing, verdict }) =>
        !closing || (verdict?.verdict === 'block' && ['done', 'observed'].includes(closing.how)),
    );
}

function assertGate({ gates }: Config, gate: string | undefined): void {
  if (gate === undefined || gates.some(({ name }) => name === gate)) return;
  throw new CheckError(`--gate ${gate}: no such gate, only ${gates.map(({ name }) => name).join(', ')}`);
}

/** Who speaks: as said, else who is logged in, before sudo. */
function whoIs(by: string | undefined): string {
  const who = by === undefined ? (process.env['SUDO_USER'] ?? userName()) : oneLine(by);
  if (!who) throw new CheckError('--by: say who');
  return who;
}

/** Undefined where the system has no name for the user, as in many a container. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** What a person types goes into rows and sentences. */
const oneLine = (text: string): string => text.trim().replace(/\s+/g, ' ');
