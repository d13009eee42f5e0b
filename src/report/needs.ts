/**
 * What needs somebody: a kernel that is blocked or held, by what, who must act, and the command that does it. Plain data,
 * for pages, lists, programs and notices alike.
 */
import type { Gate } from '../core/model.ts';
import { plural } from '../core/wording.ts';
import { isSpared, type KmodReport, type RunReport, worstFirst } from './report.ts';

/**
 * What a kernel waits for. `blocked`: by the verdict; `would-block`: the same, where the gate only looks on. `held`: by the
 * verdict, until somebody acts. `held-by-person`: until that person releases it. `stuck`: the gate cannot go on.
 */
export type NeedKind = 'blocked' | 'would-block' | 'held' | 'held-by-person' | 'stuck';

/**
 * Who must act. `kmod`: the kmod's maintainer. `kernel`: the kernel's. `builders`: who runs the build system. `gate`: who
 * runs the gate. `person`: the one who is named.
 */
export type Actor = 'kmod' | 'kernel' | 'builders' | 'gate' | 'person';

/** Something to do. */
export interface Step {
  /** What it is good for, as an order: `try it anew once that is mended`. */
  readonly does: string;
  /** To be typed as it is, but for words in capitals; null: no command does it. */
  readonly command: string | null;
}

/** What stands in a kernel's way: a kmod by its package's name, the stablelist, a person, or the gate's set-up. */
export interface Culprit {
  readonly kind: 'kmod' | 'stablelist' | 'person' | 'gate';
  readonly name: string;
  /** The build of a kmod. */
  readonly nvr?: string;
}

/** A kernel that needs somebody. */
export interface Need
  extends Pick<RunReport, 'run' | 'gate' | 'build' | 'nvr' | 'url' | 'verdict' | 'state' | 'started_at'> {
  readonly kind: NeedKind;
  /** What decides. */
  readonly culprit: Culprit;
  /** Names of the other kmods that stand in its way. */
  readonly also: readonly string[];
  /** Why, on one line. */
  readonly cause: string;
  /** The declaration of the kernel's source that changed and hits the culprit, such as `struct device`; absent: none is known. */
  readonly source?: string;
  /** The task that shows it; absent: there is none. */
  readonly task?: KmodReport['tasks'][number];
  readonly actor: Actor;
  /** The same for people: `the maintainer of kmod-foo`. */
  readonly who: string;
  /** What to do, the first one first. */
  readonly steps: readonly Step[];
  /** What becomes of it by itself, if nobody acts; absent: nothing. */
  readonly otherwise?: string;
}

/** What of a gate tells what is to be done. */
export type NeedGate = Pick<Gate, 'watch' | 'on_fail'> & { readonly kmods: Pick<Gate['kmods'], 'tag'> };

/**
 * What a run needs of people; undefined where nobody must act. Whether a newer kernel has made it pointless is not told by
 * the run, and is not looked at.
 * @param gate as the configuration has it; undefined: it has it no more
 */
export function needOf(report: RunReport, gate: NeedGate | undefined): Need | undefined {
  const kind = kindOf(report);
  if (!kind) return undefined;
  const { run, build, nvr, url, verdict, state, started_at } = report;
  const about = {
    ...{ run, gate: report.gate, build, nvr, ...(url && { url }), verdict, state, started_at, kind },
  };
  if (kind === 'held-by-person') return { ...about, ...byPerson(report) };
  if (kind === 'stuck') return { ...about, ...stuck(report, gate) };
  return { ...about, ...byVerdict(report, gate, kind) };
}

function kindOf({ verdict, status, held_by, state }: RunReport): NeedKind | undefined {
  if (held_by && status !== 'done') return 'held-by-person';
  if (verdict === 'block' && status === 'done') return 'blocked';
  if (verdict === 'block' && status === 'observed') return 'would-block';
  if (status !== 'held') return undefined;
  return verdict === 'hold' ? 'held' : state.startsWith('held') ? 'stuck' : undefined;
}

type Told = Pick<Need, 'culprit' | 'also' | 'cause' | 'actor' | 'who' | 'steps'> &
  Partial<Pick<Need, 'source' | 'task' | 'otherwise'>>;

function byPerson({ held_by, nvr, gate }: RunReport): Told {
  const { by, reason } = held_by ?? { by: '', reason: '' };
  return {
    culprit: { kind: 'person', name: by },
    also: [],
    cause: reason === '' ? 'held, and no reason is given' : reason,
    actor: 'person',
    who: by,
    steps: [{ does: 'end the hold', command: command('release', nvr, ['gate', gate]) }],
  };
}

/** What the gate itself cannot do is no kmod's fault. */
function stuck({ state, nvr, gate: name, build }: RunReport, gate: NeedGate | undefined): Told {
  const cause = state.replace(/^held: /, '').replace(/; a person must act: .*$/, '');
  const other = /^gate (.+) blocks it/.exec(cause)?.[1];
  const empty = cause.startsWith('no kmod in ');
  const step: Step = other
    ? { does: `see what blocks it at gate ${other}`, command: command('explain', String(build)) }
    : empty
      ? {
          does: 'tag a kmod that the gate lists, or mend its include list',
          command: `koji tag-build ${gate ? shellWord(gate.kmods.tag) : 'TAG'} KMOD`,
        }
      : { does: 'see what the gate lacks, and what mends it', command: 'kmod-gate doctor' };
  return {
    culprit: { kind: 'gate', name: other ?? name },
    also: [],
    cause: oneLine(cause),
    actor: 'gate',
    who: `whoever runs gate ${other ?? name}`,
    steps: [
      step,
      { does: 'end its run, and leave it where it is', command: command('cancel', nvr, ['gate', name]) },
    ],
  };
}

function byVerdict(report: RunReport, gate: NeedGate | undefined, kind: NeedKind): Told {
  const culprits = culpritsOf(report);
  const [kmod] = culprits;
  const promise = report.reasons.find(
    (text) => /^stablelist( \(.*?\))?: /.test(text) && !text.includes('(waived by '),
  );
  const deciding = report.reasons.find(
    (text) => text === promise || culprits.some((one) => isAbout(text, one)),
  );
  const otherwise = /or it is ((?:blocked|promoted) at [^;]+)/.exec(report.state)?.[1];
  const also = (all: readonly KmodReport[]) => all.map(({ name }) => name);
  if (!kmod || (promise && deciding === promise)) {
    // Where no kmod is to blame, the list is, or that nothing was tried.
    const cause = promise ?? report.reasons[0] ?? report.state;
    return {
      culprit: promise ? { kind: 'stablelist', name: 'stablelist' } : { kind: 'gate', name: report.gate },
      also: also(culprits),
      cause: oneLine(cause.replace(/^stablelist: /, '')),
      actor: promise ? 'kernel' : 'gate',
      who: promise ? `the maintainer of ${report.nvr}` : `whoever runs gate ${report.gate}`,
      steps: stepsFor(report, gate, kind, promise ? 'stablelist' : undefined, 'kernel'),
      ...(otherwise && { otherwise }),
    };
  }
  const { actor, who } = actorOf(kmod);
  const source = sourceOf(report, kmod);
  const task =
    kmod.tasks.find(({ shows }) => shows) ?? kmod.tasks.findLast(({ against }) => against === undefined);
  return {
    culprit: { kind: 'kmod', name: kmod.name, nvr: kmod.nvr },
    also: also(culprits.slice(1)),
    cause: oneLine(kmod.cause),
    ...(source && { source }),
    ...(task && { task }),
    ...{ actor, who },
    steps: stepsFor(report, gate, kind, kmod.name, actor),
    ...(otherwise && { otherwise }),
  };
}

/** The kmods that stand in a kernel's way, the one that decides first: the verdict's reasons have them in that order. */
export function culpritsOf({ kmods, reasons }: Pick<RunReport, 'kmods' | 'reasons'>): KmodReport[] {
  const guilty = (kmod: KmodReport) =>
    ['broken', 'unattributed', 'inconclusive'].includes(kmod.outcome) && !isSpared(kmod);
  const required = worstFirst(kmods).filter((kmod) => kmod.required && guilty(kmod));
  // What the policy lets pass is only told, after what it does not: with it the verdict would be another.
  const advisory = kmods.filter((kmod) => !kmod.required && kmod.outcome === 'broken' && guilty(kmod));
  const rank = (kmod: KmodReport) => {
    const place = reasons.findIndex((text) => isAbout(text, kmod));
    return place < 0 ? reasons.length : place;
  };
  return (required.length > 0 ? required : advisory).toSorted((a, b) => rank(a) - rank(b));
}

const isAbout = (reason: string, { nvr }: Pick<KmodReport, 'nvr'>): boolean =>
  reason.startsWith(`${nvr}:`) || reason.startsWith(`${nvr} (`);

/** Who can mend what is wrong with a kmod. */
function actorOf({ name, whose, outcome, tasks }: KmodReport): Pick<Need, 'actor' | 'who'> {
  const maintainer = { actor: 'kmod', who: `the maintainer of ${name}` } as const;
  switch (whose) {
    case 'system':
    case 'builder':
      return { actor: 'builders', who: 'whoever runs the build system' };
    case 'kernel':
    case 'person':
    case 'time':
      return { actor: 'gate', who: 'whoever runs the gate' };
    case 'kmod':
      // By its symbols alone nothing is wrong with its source: the kernel changed them.
      return outcome === 'broken' && tasks.length === 0
        ? { actor: 'kernel', who: `the maintainer of the kernel, or of ${name}` }
        : maintainer;
    default:
      return maintainer;
  }
}

/** The declaration that changed in the kernel and hits a kmod most, such as `struct device`. */
export function sourceOf({ causes = [] }: RunReport, { name }: KmodReport): string | undefined {
  for (const told of causes) {
    const [first] = told.kmods.find(({ kmod }) => kmod === name)?.causes ?? [];
    const cause = told.causes[first ?? -1];
    if (cause) return `${cause.kind} ${cause.name}`;
  }
  return undefined;
}

/** Who can mend a kmod that is not fine in a run, and how; `needOf` tells the same of the one that decides. */
export function mendOf(
  report: RunReport,
  kmod: KmodReport,
  gate: NeedGate | undefined,
): Pick<Need, 'actor' | 'who' | 'steps'> {
  const told = actorOf(kmod);
  const kind = kindOf(report);
  // Where the kernel is let through, or not decided, it is not the kernel that waits.
  const needs = kind !== undefined && kind !== 'stuck' && culpritsOf(report).includes(kmod);
  const steps = stepsFor(report, gate, kind ?? 'blocked', kmod.name, told.actor);
  return { ...told, steps: needs ? steps : steps.filter(({ command }) => command === null) };
}

/** @param kmod what a waiver would name; undefined: none helps */
function stepsFor(
  { nvr, gate: name, kmods }: RunReport,
  gate: NeedGate | undefined,
  kind: NeedKind,
  kmod: string | undefined,
  actor: Actor,
): Step[] {
  const at = ['gate', name] as const;
  const tag = gate ? shellWord(gate.kmods.tag) : "the kmods' tag";
  const isKmod = kmods.some((one) => one.name === kmod);
  const build = `${kmod}, build it, and tag the build into ${tag}`;
  const mend: Step[] =
    isKmod && actor === 'kmod'
      ? [{ does: `mend ${build}`, command: null }]
      : isKmod && actor === 'kernel'
        ? [{ does: `undo the change in the kernel, or adapt ${build}`, command: null }]
        : [];
  const again = kind === 'held' ? command('retry', nvr, at) : gate ? anew(gate, nvr) : null;
  const waive: Step[] =
    kmod === undefined
      ? []
      : [
          {
            does: 'or let the kernel through all the same',
            command: command(
              'waive',
              undefined,
              at,
              ['kernel', nvr],
              ['kmod', kmod],
              ['until', '7d'],
              ['reason', 'WHY'],
            ),
          },
        ];
  // A gate that only looks on has left the kernel where it is.
  if (kind === 'would-block') return [...mend, ...waive];
  const then = mend.length > 0 ? 'then try the kernel anew' : 'try the kernel anew once that is mended';
  return [...mend, ...(again === null ? [] : [{ does: then, command: again }]), ...waive];
}

/** A kernel that comes into the watch tag once more is tried anew. */
function anew({ watch, on_fail }: NeedGate, nvr: string): string {
  const [from, ...more] = on_fail.tag;
  const words = from === undefined || more.length > 0 ? ['tag-build'] : ['move-build', from];
  return ['koji', ...words, watch, nvr].map(shellWord).join(' ');
}

/** `kmod-gate retry kernel-1-1 --gate c9s`. */
function command(name: string, subject?: string, ...options: readonly (readonly [string, string])[]): string {
  const said = options.flatMap(([option, value]) => [`--${option}`, value]);
  return ['kmod-gate', name, ...(subject === undefined ? [] : [subject]), ...said].map(shellWord).join(' ');
}

/** A word as a shell takes it for one, whatever is in it. */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./^~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** In one sentence, for a list or a notice: `kmod-foo and 2 more block kernel-1-1 at gate c9s: does not build …`. */
export function describeNeed({ kind, culprit, also, nvr, gate, cause }: Need): string {
  const more = also.length > 0 ? ` and ${plural(also.length, 'more kmod', 'more kmods')}` : '';
  const many = also.length > 0;
  const verb = {
    blocked: many ? 'block' : 'blocks',
    'would-block': 'would block',
    held: many ? 'hold' : 'holds',
    'held-by-person': 'holds',
    stuck: 'is held up by',
  }[kind];
  if (kind === 'stuck') return `${nvr} ${verb} gate ${culprit.name}: ${cause}`;
  return `${culprit.name}${more} ${verb} ${nvr} at gate ${gate}: ${cause}`;
}
