/** What happens in the course of a scenario: its `[[play]]` entries, in order of time, and what they do to the hub. */
import { type Finding, unknownName } from '../config/mistakes.ts';
import { Fault } from '../koji/xmlrpc.ts';
import type { Scenario } from './scenario.ts';
import type { DEEDS, ScenarioToml } from './schema.ts';
import type { World } from './world.ts';

/** What a person does on the hub, to a kernel or to a build of a kmod. `reason` is for the audience. */
export interface TagAct {
  readonly kind: 'tag' | 'untag';
  readonly by: string;
  readonly kernel: string;
  readonly tag: string;
  readonly reason: string | null;
}

/** What a person says to the gate; as the commands of the same names take it. */
export type Word = { readonly by: string; readonly gate: string | null } & (
  | {
      readonly kind: 'waive';
      readonly kernel: string;
      readonly kmod: string;
      readonly reason: string;
      /** A date, or a duration from then on. */
      readonly until: string | null;
    }
  /** Every waiver that speaks of such a kernel and such a kmod. */
  | { readonly kind: 'unwaive'; readonly kernel: string; readonly kmod: string }
  | {
      readonly kind: 'hold' | 'release' | 'retry' | 'cancel';
      readonly kernel: string;
      readonly kmod: string | null;
      readonly reason: string | null;
    }
);

export type Act =
  | { readonly kind: 'complete'; readonly kernel: string; readonly tag: string | null }
  | TagAct
  | Word
  | { readonly kind: 'end' };

/** Something that happens at a time. */
export interface PlayEntry {
  /** In milliseconds since the play began. */
  readonly at: number;
  /** What the audience is told. */
  readonly title: string | null;
  /** Whether the gate hears the hub's messages from now on, until the next entry says otherwise. */
  readonly heard: boolean;
  readonly act: Act;
  /** Where it stands in the file, from 0. */
  readonly index: number;
}

/** Without an `end` a play goes on for so long after its last entry, in ms. */
const AFTERMATH = 86_400_000;

/** When a play is over, in ms since it began. */
export const endOf = (play: readonly PlayEntry[]): number =>
  play.find(({ act }) => act.kind === 'end')?.at ?? (play.at(-1)?.at ?? 0) + AFTERMATH;

type RawEntry = ScenarioToml['play'][number];
type Key = Exclude<keyof RawEntry, 'at' | 'title' | 'heard'>;

/** What each kind of entry must say, and what it may. */
const KEYS: Readonly<
  Record<'complete' | 'end' | (typeof DEEDS)[number], { needs: readonly Key[]; takes: readonly Key[] }>
> = {
  complete: { needs: ['complete'], takes: ['tag'] },
  end: { needs: ['end'], takes: [] },
  tag: { needs: ['do', 'kernel', 'tag'], takes: ['by', 'reason'] },
  untag: { needs: ['do', 'kernel', 'tag'], takes: ['by', 'reason'] },
  waive: { needs: ['do', 'kernel', 'kmod', 'reason'], takes: ['by', 'until', 'gate'] },
  unwaive: { needs: ['do'], takes: ['by', 'kernel', 'kmod', 'gate'] },
  hold: { needs: ['do', 'kernel'], takes: ['by', 'reason', 'gate'] },
  release: { needs: ['do', 'kernel'], takes: ['by', 'reason', 'gate'] },
  retry: { needs: ['do', 'kernel'], takes: ['by', 'reason', 'gate', 'kmod'] },
  cancel: { needs: ['do', 'kernel'], takes: ['by', 'reason', 'gate'] },
};

/** The entries in order of time, those of one time in the order of the file, and what is wrong with them. */
export function planPlay(
  entries: readonly RawEntry[],
  scenario: Scenario,
): { readonly plan: readonly PlayEntry[]; readonly findings: readonly Finding[] } {
  const [admin] = scenario.users;
  const planned = entries.map((raw, index): { entry?: PlayEntry; findings: readonly Finding[] } => {
    const findings = [...checkKeys(raw, index), ...checkPlayed(raw, index, scenario)];
    if (findings.length > 0) return { findings };
    const { at, title = null, heard } = raw;
    return { entry: { at, title, heard, act: actOf(raw, admin?.name ?? ''), index }, findings };
  });
  const plan = planned.flatMap(({ entry }) => entry ?? []).sort((a, b) => a.at - b.at || a.index - b.index);
  const findings = planned.flatMap(({ findings }) => findings);
  return { plan, findings: [...findings, ...checkCompletions(entries, scenario)] };
}

function checkKeys(raw: RawEntry, index: number): Finding[] {
  const path = ['play', index];
  const kinds = [raw.complete, raw.do, raw.end].filter((said) => said !== undefined);
  if (kinds.length !== 1) {
    const says = kinds.length === 0 ? 'says nothing that happens' : 'says more than one thing';
    const message = `${says}: give one of complete = "KERNEL", do = "waive" (or another deed), end = true`;
    return [{ path, message }];
  }
  const kind = raw.do ?? (raw.end ? 'end' : 'complete');
  const { needs, takes } = KEYS[kind];
  const what = raw.do ? `do = "${kind}"` : kind;
  const known: readonly string[] = ['at', 'title', 'heard', ...needs, ...takes];
  return [
    ...needs
      .filter((key) => raw[key] === undefined)
      .map((key) => ({ path, message: `${what} needs ${key} = "…"; add it` })),
    ...Object.entries(raw)
      .filter(([key, value]) => value !== undefined && !known.includes(key))
      .map(([key]) => ({
        path: [...path, key],
        message: `${what} takes no ${key}, only ${known.join(', ')}; take it out`,
      })),
  ];
}

/** What an entry names is in the scenario, or is a pattern where patterns may be. */
function checkPlayed(raw: RawEntry, index: number, { users, tags, kernels, kmods }: Scenario): Finding[] {
  const isKmod = raw.kmod === undefined || /[*?]/.test(raw.kmod) || raw.kmod === 'stablelist';
  const speaksOfMany = raw.do === 'waive' || raw.do === 'unwaive';
  const isKernel = speaksOfMany && (/[*?]/.test(raw.kernel ?? '') || raw.kernel === 'next');
  const acts = raw.do === 'tag' || raw.do === 'untag';
  const lacks = (key: Key, what: string, known: readonly string[], is = false): Finding[] => {
    const name = raw[key];
    if (typeof name !== 'string' || is || known.includes(name)) return [];
    return [unknownName(['play', index, key], '', what, name, known)];
  };
  const nvrs = kernels.map(({ nvr }) => nvr);
  // A new build of a kmod comes by being tagged.
  const builds = [...nvrs, ...kmods.map(({ nvr }) => nvr)];
  return [
    ...lacks('complete', 'kernel', nvrs),
    ...lacks('kernel', acts ? 'build' : 'kernel', acts ? builds : nvrs, isKernel),
    ...lacks('kmod', 'kmod', [...new Set(kmods.map(({ name }) => name))], isKmod),
    ...lacks(
      'tag',
      'tag',
      tags.map(({ name }) => name),
    ),
    ...lacks(
      'by',
      'user',
      users.map(({ name }) => name),
      !acts,
    ),
  ];
}

/** A kernel becomes complete once. */
function checkCompletions(entries: readonly RawEntry[], { kernels }: Scenario): Finding[] {
  const seen = new Set<string>();
  return entries.flatMap(({ complete }, index) => {
    if (complete === undefined) return [];
    const path = ['play', index, 'complete'];
    const before = seen.has(complete);
    seen.add(complete);
    if (before) return [{ path, message: `${complete} is completed twice; take one of the entries out` }];
    const there = kernels.find(({ nvr }) => nvr === complete)?.built;
    const mend = 'take "built = true" out of its [[kernels]] table, or tag it with do = "tag"';
    return there ? [{ path, message: `${complete} is there from the start; ${mend}` }] : [];
  });
}

/** Of an entry that was checked. */
function actOf(raw: RawEntry, admin: string): Act {
  const { by = admin, gate = null, kernel = '*', kmod = '*', tag = '', reason = '', until = null } = raw;
  if (raw.end) return { kind: 'end' };
  switch (raw.do) {
    case undefined:
      return { kind: 'complete', kernel: raw.complete ?? '', tag: raw.tag ?? null };
    case 'tag':
    case 'untag':
      return { kind: raw.do, by, kernel, tag, reason: raw.reason ?? null };
    case 'waive':
      return { kind: raw.do, by, gate, kernel, kmod, reason, until };
    case 'unwaive':
      return { kind: raw.do, by, gate, kernel, kmod };
    default:
      return { kind: raw.do, by, gate, kernel, kmod: raw.kmod ?? null, reason: raw.reason ?? null };
  }
}

/** Let something happen on the hub. Returns what, or that the hub refuses it. */
export function actOnHub(world: World, act: Extract<Act, { kind: 'complete' | 'tag' | 'untag' }>): string {
  if (act.kind === 'complete') {
    const { kernel, tag } = act;
    world.completeKernel(kernel, tag === null ? {} : { tag });
    return `${kernel} is complete${tag === null ? '' : `, and tagged into ${tag}`}`;
  }
  const { kind, by, kernel, tag, reason } = act;
  const what = `${kernel} ${kind === 'tag' ? 'into' : 'from'} ${tag}${reason === null ? '' : `: ${reason}`}`;
  try {
    const person = world.as(by);
    if (kind === 'tag') person.tagBuild(tag, kernel);
    else person.untagBuild(tag, kernel);
    return `${by} ${kind}s ${what}`;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return `${by} tries to ${kind} ${what}, but the hub refuses it: ${error.text}`;
  }
}
