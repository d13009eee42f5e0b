/**
 * Why a kernel breaks kmods, by the types of both kernels: looked for behind all else, one run at a time, since a verdict
 * needs none of it, and types are much to hold.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { findCauses } from '../btf/causes.ts';
import type { KernelBtfs } from '../btf/graph.ts';
import { type Btf, readBtf } from '../btf/reader.ts';
import {
  comparedExports,
  type Need,
  type ToldCauses,
  type ToldChangelog,
  type ToldError,
  tellCauses,
  untold,
} from '../btf/told.ts';
import { type NewLines, newLines } from '../changelog/lines.ts';
import { partsOfKernel, rankLines, type Sought } from '../changelog/rank.ts';
import { toExplain } from '../core/explain.ts';
import type { Gate, KernelRef, Run } from '../core/model.ts';
import { ownEvidence } from '../core/trial.ts';
import { SymbolFileError } from '../kabi/error.ts';
import * as koji from '../koji/calls.ts';
import { HubError, isUnknown, unwrap } from '../koji/hub.ts';
import { explainErrors } from '../logs/subject.ts';
import type { Context } from './context.ts';
import { CAUSES } from './keys.ts';
import { type BuiltKernel, type KernelOfBuild, readKernel } from './rpms.ts';

/** So often a run's causes are looked for; then it is told why there are none. */
const TRIES = 4;
/** In ms, from one try of a run to its next. */
const PAUSE = 120_000;

/** In ms: what was begun longer ago, nobody waits to have explained. */
const OLD = 7 * 24 * 3_600_000;

/** Look for them soon, if there is anything to have them from. */
export function wantCauses({ typesOf, want }: Context): void {
  if (typesOf) want(CAUSES);
}

/** @returns looks for the causes of the newest run that wants it, and of the next one after that */
export function createExplainer(context: Context): () => Promise<void> {
  const { gates, store, now, want } = context;
  /** What failed, how often, and when it is tried again. */
  const failed = new Map<string, { readonly tries: number; readonly until: number }>();
  return async () => {
    const waiting = await store.unexplained();
    const due = ({ id }: { readonly id: string }) => failed.get(id)?.until ?? 0;
    const next = waiting.find((one) => due(one) <= now());
    const run = next && (await store.run(next.id));
    if (next && run) {
      const gate = gates.find(({ name }) => name === next.gate);
      const tries = (failed.get(run.id)?.tries ?? 0) + 1;
      // Whatever happens to it, the next one has its turn.
      failed.set(run.id, { tries, until: now() + PAUSE });
      const counts = gate && run.startedAt > now() - OLD;
      const told = counts ? await explainRun(context, gate, run, tries >= TRIES) : [];
      if (told !== 'later') {
        const isNews = JSON.stringify(told) !== JSON.stringify(await store.causesOf(run));
        await store.explain(run, isNews ? told : [], now(), next.upTo);
        failed.delete(run.id);
      }
    }
    const others = waiting.filter(({ id }) => id !== next?.id || failed.has(id));
    if (others.length > 0) want(CAUSES, Math.max(now(), Math.min(...others.map(due))));
  };
}

/** @param last whether what cannot be read is told as such, and not waited for any more */
async function explainRun(
  context: Context,
  gate: Gate,
  run: Run,
  last: boolean,
): Promise<readonly ToldCauses[] | 'later'> {
  const wanted = toExplain(run);
  if (!wanted) return [];
  const { baseline, arches } = wanted;
  const tellAll = (why: string) => arches.map((arch) => untold(arch, baseline.nvr, why));
  try {
    const { id, name } = run.kernel;
    const { variant } = gate;
    const before = await read(context, { id: baseline.id, name, variant });
    const after = await read(context, { id, name, variant });
    const changelogs = await readChangelogs(context, baseline, run.kernel);
    const told: ToldCauses[] = [];
    for (const arch of arches) {
      const found = await explainArch(context, run, baseline, { before, after, arch, changelogs }, last);
      if (found === 'later') return found;
      told.push(found);
    }
    return told;
  } catch (error) {
    if (!(error instanceof HubError) && !(error instanceof SymbolFileError)) throw error;
    if (error instanceof HubError && !isUnknown(error) && !last) return 'later';
    return tellAll(error.message);
  }
}

interface Kernels {
  readonly before: Read;
  readonly after: Read;
  readonly arch: string;
  readonly changelogs: Changelogs;
}

/** Of both kernels, or why they cannot be had. */
type Changelogs = NewLines | { readonly why: string };

/** Where the hub cannot tell them, the rest is explained all the same. */
async function readChangelogs({ hub }: Context, before: KernelRef, after: KernelRef): Promise<Changelogs> {
  try {
    const answers = await hub.readAll([before, after].map(({ id }) => koji.getChangelogEntries(id)));
    const [old, young] = answers.map(unwrap);
    return newLines(old ?? [], young ?? []);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    return { why: error.message };
  }
}

/** So many lines of a changelog are told. */
const LINES = 5;

function tellChangelog(found: Changelogs, sought: Sought): ToldChangelog {
  if ('why' in found) return { lines: 0, candidates: [], gap: found.why };
  const naming = rankLines(found.lines, sought).filter(({ names }) => names.length > 0);
  const candidates = naming.slice(0, LINES).map(({ text, names }) => ({ text, names }));
  return { lines: found.lines.length, candidates, gap: found.gap };
}

/** What the errors of each kmod's newest build on an architecture name. */
function tellErrors({ intents }: Run, arch: string, btfs: KernelBtfs): ToldError[] {
  const newest = new Map(
    ownEvidence(intents).flatMap(({ kmod, evidence }) =>
      evidence.arch === arch ? [[kmod, evidence.errors] as const] : [],
    ),
  );
  return [...newest].flatMap(([kmod, errors]) =>
    explainErrors(errors, btfs).flatMap(({ error, declared }) =>
      declared?.changed ? [{ kmod, message: error.message, was: declared.was, now: declared.now }] : [],
    ),
  );
}

interface Read extends BuiltKernel {
  readonly kernel: KernelOfBuild;
}

async function read(context: Context, kernel: KernelOfBuild): Promise<Read> {
  return { ...(await readKernel(context, kernel, (_, error) => isUnknown(error))), kernel };
}

async function explainArch(
  context: Context,
  run: Run,
  { nvr }: KernelRef,
  { before, after, arch, changelogs }: Kernels,
  last: boolean,
): Promise<ToldCauses | 'later'> {
  const tables = [before, after].map((one) => one.tables.get(arch));
  const [old, young] = tables;
  if (!old || !young) return untold(arch, nvr, 'one of the two kernels is not built for it');
  const pair: Btf[] = [];
  for (const { kernel } of [before, after]) {
    const types = await typesFor(context, kernel, arch);
    if (types.btf === null) return types.later && !last ? 'later' : untold(arch, nvr, types.why);
    pair.push(readBtf(types.btf, types.file));
    // Each takes the processor for a while: whoever waits comes first.
    await breathe();
  }
  const [was, is] = pair;
  if (!was || !is) throw new Error('two kernels have types');
  const exports = comparedExports(old, young);
  const needs = await needsOf(context, run, arch);
  const btfs = { before: was, after: is, modules: new Map() };
  const told = tellCauses(findCauses(btfs, exports), needs, exports);
  const hit = exports.filter(
    ({ symbol, isChanged }) => isChanged && needs.some((it) => it.symbols.has(symbol)),
  );
  const sought = { causes: told.causes, symbols: hit.map(({ symbol }) => symbol), parts: partsOfKernel(hit) };
  return {
    ...{ arch, baseline: nvr, why: null, ...told },
    errors: tellErrors(run, arch, btfs),
    changelog: tellChangelog(changelogs, sought),
  };
}

/** Kept ones, or those of the hub, which are kept. */
async function typesFor({ store, now, typesOf }: Context, kernel: KernelOfBuild, arch: string) {
  if (!typesOf) throw new Error('nobody asks for types where there are none');
  const known = await store.kernelTypes(kernel.id, arch, now());
  if (known) return { btf: known, file: `types of build ${kernel.id} for ${arch}` };
  const found = await typesOf({ ...kernel, arch });
  if (found.btf !== null) await store.keepKernelTypes(kernel.id, arch, found.btf, now());
  return found;
}

/** What of what each kmod needs has another CRC, and of what is listed. */
async function needsOf({ store }: Context, run: Run, arch: string): Promise<Need[]> {
  const detail = await store.symbolDetail(run);
  const listed = run.symbols?.change?.arches.find((one) => one.arch === arch)?.listed ?? [];
  const kmods = detail.flatMap(({ kmod, arches }) => {
    const found = arches.find((one) => one.arch === arch);
    return found ? [{ kmod, symbols: new Set(found.changed.map(({ symbol }) => symbol)) }] : [];
  });
  const list = { kmod: 'stablelist', symbols: new Set(listed.map(({ symbol }) => symbol)) };
  return listed.length > 0 ? [list, ...kmods] : kmods;
}
