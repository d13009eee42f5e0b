/** A gate sent through the past of a hub: what it would have said of each kernel. It only reads, and builds nothing. */
import { type Foretold, foretell, type Passage, passagesOf } from '../core/backtest.ts';
import { judgementsOf } from '../core/baseline.ts';
import type { Gate, Run } from '../core/model.ts';
import { HubError } from '../koji/hub.ts';
import { askOnce } from '../koji/once.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { choose } from './choose.ts';
import { aheadOf, heldAt, type Past, readPast, stayOf } from './past.ts';
import type { SymbolSource } from './rpms.ts';
import { readSymbols } from './symbols.ts';

/** What a gate would have said of a kernel, and what of it could not be read, and why. */
export interface Backtested {
  readonly passage: Passage;
  readonly foretold: Foretold;
  readonly lost: readonly string[];
}

/** How far a backtest is. */
export interface Way {
  readonly done: number;
  readonly all: number;
  /** The kernel in hand. */
  readonly nvr: string;
}

/** So many kernels' kmods and rpms are listed in one request. */
const AHEAD = 10;

/**
 * Judge the kernels of a gate's tags in their order, as a gate that began at that time would have done: each is measured by
 * those before, its kmods are those that the tag held then, and what it says of one is what the next is measured by.
 * @param source headers of rpms are kept in its store: one that ends early goes on from there the next time
 * @param since ms since the epoch
 * @throws HubError where the hub cannot be asked, or knows no such tag
 */
export async function backtest(
  source: Pick<SymbolSource, 'hub' | 'store'>,
  gate: Gate,
  since: number,
  onWay: (way: Way) => void = () => {},
): Promise<Backtested[]> {
  const hub = askOnce(source.hub, (method) => method !== 'getRPMHeaders');
  const past = await readPast(hub, gate);
  const passages = passagesOf(gate, past.kernels.map(stayOf), since);
  // What the gate says of these kernels is only so in this backtest: the next one may have another policy.
  const said = await openStore('sqlite::memory:', { mode: 'write' });
  try {
    const found: Backtested[] = [];
    for (const [done, passage] of passages.entries()) {
      const way = { done, all: passages.length, nvr: passage.kernel.nvr };
      onWay(way);
      if (done % AHEAD === 0) await hub.readAll(aheadOf(gate, passages.slice(done, done + AHEAD)));
      found.push(await judgeOne({ hub, store: source.store }, said, gate, past, passage));
    }
    return found;
  } finally {
    await said.close();
  }
}

async function judgeOne(
  { hub, store }: SymbolSource,
  said: Store,
  gate: Gate,
  past: Past,
  passage: Passage,
): Promise<Backtested> {
  const { kernel, generation, tags } = passage;
  const { event: entry, at } = passage.came;
  const id = `${gate.name}/${kernel.id}/${generation}`;
  await said.seeKernel(kernel, at);
  await said.beginRun({
    ...{ id, gate: gate.name, kernel, generation, entry, tags, startedAt: at },
    strategy: 'symbols',
    ...(await choose({ hub, store: said }, gate, kernel, heldAt(hub, gate, past, entry))),
  });
  const begun = await runOf(said, id);
  const lost = new Set<string>();
  const from: SymbolSource = { hub, store, lost: (why) => void lost.add(why) };
  try {
    // Files that are gone are not waited for.
    await said.showSymbols(begun, await readSymbols(from, gate, begun, true), at);
  } catch (error) {
    if (!(error instanceof HubError) || error.kind !== 'refused') throw error;
    lost.add(error.message);
  }
  const run = await runOf(said, id);
  const foretold = foretell(gate, run, [...lost], at);
  const { verdict, reasons } = foretold.bySymbols;
  // A kernel of which not all is known is let through by nobody.
  const found = { verdict: verdict === 'unknown' ? ('hold' as const) : verdict, reasons };
  await said.judge(run, found, judgementsOf(gate, run, at), at);
  await said.closeRun(await runOf(said, id), { at, how: 'done', why: 'told' });
  return { passage, foretold, lost: [...lost] };
}

async function runOf(store: Store, id: string): Promise<Run> {
  const run = await store.run(id);
  if (!run) throw new Error(`run ${id} is gone`);
  return run;
}
