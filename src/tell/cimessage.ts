/**
 * CI messages about a kernel build, in the form of Fedora CI (the messages specification of fedora-ci, `koji-build.test.*`).
 * Pure: docs/schemas/ has the shapes, and docs/messages.md says what they mean here.
 */
import type { Contact, MessageSettings } from '../config/tell.ts';
import type { Run } from '../core/model.ts';
import type { Outgoing, VerdictTold } from '../store/outbox.ts';
import { archesOf, type Result, resultOf, resultOfKmod, saysOf, WHOLE } from './result.ts';

/** Of the specification. */
export const VERSION = '1.1.14';

export type MessageKind = 'queued' | 'running' | 'complete' | 'error';

export const KIND_OF = { queued: 'queued', running: 'running', verdict: 'complete', over: 'error' } as const;

export interface CiMessage {
  readonly contact: Contact;
  readonly run: { readonly url: string; readonly log: string };
  readonly artifact: {
    readonly type: 'koji-build';
    /** The Koji task that made it; the build's own id where it was imported. */
    readonly id: number;
    readonly component: string;
    readonly issuer: string;
    readonly nvr: string;
    readonly scratch: false;
  };
  readonly pipeline: { readonly id: string; readonly name: string };
  readonly test: {
    readonly category: string;
    readonly namespace: string;
    readonly type: string;
    readonly docs: string;
    readonly scenario?: string;
    readonly result?: Result;
    readonly output?: string;
    readonly runtime?: number;
  };
  readonly system?: readonly {
    readonly os: string;
    readonly provider: string;
    readonly architecture: string;
  }[];
  readonly error?: { readonly reason: string };
  readonly version: string;
  readonly generated_at: string;
}

/** What a message is made of. */
export interface About {
  readonly row: Pick<Outgoing, 'what' | 'part' | 'gate'>;
  readonly run: Pick<Run, 'id' | 'kernel' | 'kmods' | 'startedAt'>;
  /** Of the kernel's build. */
  readonly task: number | null;
  readonly issuer: string;
  /** With `what` verdict. */
  readonly verdict: VerdictTold | undefined;
  /** With `what` over: why it is. */
  readonly why: string;
  /** When the fact was recorded, by the calendar, ms. */
  readonly at: number;
  /** Its page, and that of what shows it. */
  readonly url: string;
  readonly log: string;
  /** Id of the run, for all of its messages. */
  readonly pipeline: string;
}

/** So much of the verdict's reasons goes into a message, characters. */
const LONGEST_OUTPUT = 16_000;

export function ciMessage(
  about: About,
  { namespace, category, contact }: Pick<MessageSettings, 'namespace' | 'category' | 'contact'>,
): CiMessage {
  const { row, run, verdict } = about;
  const { kernel } = run;
  const kind = KIND_OF[row.what];
  const complete = kind === 'complete' && verdict;
  const scenario = row.part === WHOLE ? undefined : row.part;
  return {
    contact: defined(contact),
    run: { url: about.url, log: about.log },
    artifact: {
      type: 'koji-build',
      id: about.task ?? kernel.id,
      component: kernel.name,
      issuer: about.issuer,
      nvr: kernel.nvr,
      scratch: false,
    },
    pipeline: { id: about.pipeline, name: `kmod-gate ${row.gate}` },
    test: {
      ...{ category, namespace, type: row.gate, docs: contact.docs },
      ...(scenario !== undefined && { scenario }),
      ...(complete && {
        result: scenario === undefined ? resultOf(verdict) : resultOfKmod(verdict, run, scenario),
        output: shorten(outputOf(verdict, run, scenario)),
        runtime: Math.max(0, Math.round((verdict.at - run.startedAt) / 1_000)),
      }),
    },
    ...(complete && { system: systemsOf(run, row.part) }),
    ...(kind === 'error' && { error: { reason: shorten(about.why) } }),
    version: VERSION,
    generated_at: new Date(about.at).toISOString(),
  };
}

function outputOf(verdict: VerdictTold, run: Pick<Run, 'kmods'>, scenario: string | undefined): string {
  if (scenario === undefined) return verdict.reasons.join('\n');
  const outcome = verdict.judged.find(({ kmod }) => kmod === scenario)?.outcome ?? '';
  return saysOf(verdict, run, scenario) ?? outcome;
}

/** The specification wants one at least. */
function systemsOf(run: Pick<Run, 'kmods' | 'kernel'>, part: string): NonNullable<CiMessage['system']> {
  const arches = archesOf(run, part);
  const os = /\.(el\d+|fc\d+|eln\d*)/.exec(run.kernel.release)?.[1] ?? 'linux';
  return (arches.length > 0 ? arches : ['noarch']).map((architecture) => ({
    os,
    provider: 'koji',
    architecture,
  }));
}

const shorten = (text: string): string =>
  text.length > LONGEST_OUTPUT ? `${text.slice(0, LONGEST_OUTPUT - 1)}…` : text;

/** Without members that are undefined, which JSON would leave out too. */
const defined = <T extends object>(of: T): T =>
  Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
