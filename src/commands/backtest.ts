/** `kmod-gate backtest`: what a gate would have said of the kernels that its hub has seen, before it enforces. */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { cacheFolder } from '../config/home.ts';
import { type Became, type Foretold, tallyOf } from '../core/backtest.ts';
import type { Gate } from '../core/model.ts';
import { plural } from '../core/wording.ts';
import { connectHub } from '../koji/client.ts';
import { type Backtested, backtest } from '../reconciler/backtest.ts';
import { hubUrl, openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { parseSince } from './dates.ts';
import { CheckError } from './error.ts';
import type { Bar } from './progress.ts';
import { dateTime, line, type Output, paint, table } from './text.ts';

export interface BacktestOptions {
  /** Needed where there are several. */
  readonly gate?: string;
  /** A date, or a duration before now. */
  readonly since: string;
  /** File in which headers of rpms are kept; by default one for each hub in the user's cache. */
  readonly store?: string;
  readonly json: boolean;
}

/**
 * Judge the kernels of the past by their symbols, and tell what really became of them. Nobody logs in.
 * @param bar shows how far it is
 * @throws CheckError for a gate or date that is none, StoreError, HubError; started again it goes on
 */
export async function backtestCommand(
  config: Pick<Config, 'gates' | 'koji'>,
  output: Output,
  { gate: name, since, store: file, json }: BacktestOptions,
  bar: Bar,
): Promise<void> {
  const gate = gateMeant(config.gates, name);
  const from = parseSince(since, Date.now());
  const { server } = config.koji;
  const kept = await openStore(`sqlite:${file ?? cacheFile(server, process.env)}`, {
    mode: 'write',
    hub: server,
  });
  const hub = connectHub({ ...config.koji, authtype: 'noauth' });
  try {
    const told = await withBar(bar, kept, (store, onWay) => backtest({ hub, store }, gate, from, onWay));
    output.write(
      json ? `${JSON.stringify(asJson(gate, from, told), null, 2)}\n` : asText(output, gate, told),
    );
  } finally {
    await hub.close();
    await kept.close();
  }
}

function gateMeant(gates: readonly Gate[], name: string | undefined): Gate {
  const [only] = gates;
  const names = gates.map((gate) => gate.name).join(', ');
  if (name === undefined && gates.length > 1)
    throw new CheckError(`the configuration has several gates: name one of ${names} with --gate`);
  const gate = name === undefined ? only : gates.find((one) => one.name === name);
  if (!gate) throw new CheckError(`--gate ${name}: the configuration has no such gate, but ${names}`);
  return gate;
}

/** One for each hub: rpms of another have the same numbers. */
function cacheFile(server: string, env: NodeJS.ProcessEnv): string {
  const name = hubUrl(server)
    .replace(/^https?:\/\//, '')
    .replace(/[^\w.-]+/g, '_');
  const file = join(cacheFolder(env), `${name}.db`);
  mkdirSync(dirname(file), { recursive: true });
  return file;
}

type Kept = Pick<Store, 'rpmSymbols' | 'keepRpmSymbols'>;

/** Show how many kernels are judged, and how many headers were read of the hub meanwhile. */
async function withBar<T>(
  bar: Bar,
  store: Kept,
  work: (store: Kept, onWay: NonNullable<Parameters<typeof backtest>[3]>) => Promise<T>,
): Promise<T> {
  let way = { done: 0, all: 0, nvr: '' };
  let headers = 0;
  const show = () =>
    bar.show(way.done, way.all, `${way.nvr}${headers > 0 ? `, ${plural(headers, 'rpm header')} read` : ''}`);
  const counting: Kept = {
    rpmSymbols: store.rpmSymbols,
    async keepRpmSymbols(rpms, builds) {
      await store.keepRpmSymbols(rpms, builds);
      headers += rpms.size;
      show();
    },
  };
  try {
    return await work(counting, (next) => {
      way = next;
      show();
    });
  } finally {
    bar.end();
  }
}

// ---- what is shown ----------------------------------------------------------------------------------

function asJson(gate: Gate, since: number, told: readonly Backtested[]) {
  const { kernels, promote, block, hold, unknown, released, ...undecided } = tallyOf(told);
  return {
    gate: gate.name,
    since,
    kernels: told.map(({ passage, foretold, lost }) => ({
      build: passage.kernel.id,
      nvr: passage.kernel.nvr,
      tag: passage.tag,
      event: passage.came.event,
      at: passage.came.at,
      verdict: foretold.verdict,
      reasons: foretold.reasons,
      missing: foretold.missing,
      unread: lost,
      would_build: foretold.wouldBuild,
      by_symbols: foretold.bySymbols,
      became: passage.became,
    })),
    summary: {
      ...{ kernels, promote, block, hold, unknown, released },
      undecided: undecided.undecided,
      undecided_blocked: undecided.undecidedBlocked,
    },
  };
}

/** So many reasons are shown of a kernel. */
const REASONS = 3;

function asText(output: Output, gate: Gate, told: readonly Backtested[]): string {
  const tags = [gate.watch, ...gate.on_pass.tag].join(', ');
  if (told.length === 0) return line(`No kernel of gate ${gate.name} stood in ${tags} since then.`);
  const rows = told.flatMap(({ passage, foretold, lost }) => {
    const why = whyOf(foretold, lost);
    const shown = why.length > REASONS ? [...why.slice(0, REASONS), moreThan(why.length - REASONS)] : why;
    const { came, kernel, became } = passage;
    const head = [dateTime(came.at), kernel.nvr, foretold.verdict, becameText(became)];
    return [[...head, shown[0] ?? ''], ...shown.slice(1).map((reason) => [...head.map(() => ''), reason])];
  });
  const heads = ['CAME', 'KERNEL', 'WOULD BE', 'ON THE HUB', 'BECAUSE'];
  return `${table([heads, ...rows], (padded, cell) => paint(output, cell, padded))}\n${summaryText(told)}`;
}

const moreThan = (count: number): string => `and ${count} more; --json has them all`;

/** Why the verdict is what it is; where it is not known, why not, and what symbols alone say. */
function whyOf({ verdict, reasons, missing, wouldBuild, bySymbols }: Foretold, lost: readonly string[]) {
  if (verdict !== 'unknown') return reasons;
  const unread = missing.filter((name) => !wouldBuild.includes(name));
  const [first, ...more] = lost;
  return [
    ...(wouldBuild.length > 0
      ? [`would have built ${plural(wouldBuild.length, 'kmod')}: ${wouldBuild.join(', ')}`]
      : []),
    ...(unread.length > 0
      ? [
          `cannot be told of ${unread.join(', ')}${first ? `: ${first}${more.length > 0 ? `; ${moreThan(more.length)}` : ''}` : ''}`,
        ]
      : []),
    ...(bySymbols.verdict === 'unknown'
      ? []
      : [`by symbols alone ${bySymbols.verdict}: ${bySymbols.reasons[0]}`]),
  ];
}

function becameText({ how, tag, at, by }: Became): string {
  const when = `${dateTime(at)} by ${by}`;
  return {
    passed: `passed: ${tag} ${when}`,
    failed: `blocked: ${tag} ${when}`,
    left: `taken out of ${tag} ${when}`,
    waits: `stands in ${tag}`,
  }[how];
}

function summaryText(told: readonly Backtested[]): string {
  const { kernels, block, hold, unknown, released, undecided, undecidedBlocked } = tallyOf(told);
  const gone = unknown - undecided;
  return [
    `${block} of ${plural(kernels, 'kernel')} would have been blocked, and ${hold} held.`,
    ...(block > 0 ? [`${released} of those that would have been blocked passed.`] : []),
    ...(undecided > 0
      ? [
          `Of ${undecided} it cannot be told: the gate would have built kmods. By symbols alone ${undecidedBlocked} of them would have been blocked.`,
        ]
      : []),
    ...(gone > 0 ? [`Of ${gone} it cannot be told: not all that it takes can be read any more.`] : []),
  ]
    .map(line)
    .join('');
}
