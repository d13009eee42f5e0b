/**
 * Asks Greenwave whether its policies let a build through (`POST /api/v1.0/decision`). Greenwave takes what ResultsDB has, this
 * gate's own results among it, and what WaiverDB waives. Source of facts: Greenwave's documentation of that call.
 */
import { z } from 'zod';
import type { GreenwaveWord } from '../core/look.ts';
import { visible } from '../report/visible.ts';
import { TellError } from './channel.ts';
import { headersIn, StatusError, sendJson } from './http.ts';

/** Where Greenwave is. */
export interface GreenwaveAt {
  /** Without `api/v1.0`. */
  readonly url: string;
  /** Of one question, ms: Greenwave itself asks ResultsDB, WaiverDB and Koji meanwhile. */
  readonly timeout: number;
  readonly header_files?: Readonly<Record<string, string>>;
}

/** What gates ask it, with `GATE` for a gate's name. */
export interface GreenwaveGates extends GreenwaveAt {
  readonly productVersion: string;
  readonly decisionContext: string;
}

export interface Question {
  /** As the policies have it, such as `rhel-9`. */
  readonly product_version: string;
  /** The gating point, such as `kernel_promotion`. */
  readonly decision_context: string;
  readonly nvr: string;
}

/** Something that a policy wants and that is not so. */
export interface Requirement {
  /** As Greenwave names it: `test-result-missing`, `test-result-failed`, `test-result-errored`, … */
  readonly type: string;
  readonly testcase: string | null;
  readonly scenario: string | null;
  /** In ResultsDB. */
  readonly result: number | null;
  /** On one line, for people. */
  readonly text: string;
}

export interface Decision {
  readonly satisfied: boolean;
  /** One line, in Greenwave's words. */
  readonly summary: string;
  /** Ids of the policies that apply. */
  readonly policies: readonly string[];
  /** Empty where it is satisfied. */
  readonly unsatisfied: readonly Requirement[];
}

/**
 * Why there is no decision. `unavailable`: nobody answers, or not now: ask again. `refused`: the question, a policy or the
 * set-up is wrong, which a person must mend.
 */
export class GreenwaveError extends Error {
  override readonly name = 'GreenwaveError';
  readonly kind: 'unavailable' | 'refused';
  constructor(kind: GreenwaveError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

const requirement = z.object({
  type: z.string().min(1),
  testcase: z.string().nullish(),
  scenario: z.string().nullish(),
  result_id: z.int().nullish(),
  error_reason: z.string().nullish(),
  details: z.string().nullish(),
  error: z.string().nullish(),
});

const answer = z.object({
  policies_satisfied: z.boolean(),
  summary: z.string(),
  applicable_policies: z.array(z.string()),
  unsatisfied_requirements: z.array(requirement),
});

const failure = z.object({ message: z.string() });

/**
 * Ask for a decision on a build.
 * @throws GreenwaveError where there is none. What contradicts itself is none: nobody may be let through by that
 */
export async function askGreenwave(at: GreenwaveAt, question: Question): Promise<Decision> {
  const base = at.url.endsWith('/') ? at.url : `${at.url}/`;
  const { product_version, decision_context, nvr } = question;
  const body = { product_version, decision_context, subject_type: 'koji_build', subject_identifier: nvr };
  let text: string;
  try {
    text = await sendJson({
      what: 'Greenwave',
      url: new URL('api/v1.0/decision', base),
      method: 'POST',
      headers: { accept: 'application/json', ...(await headersIn(at.header_files ?? {})) },
      body: JSON.stringify(body),
      timeout: at.timeout,
    });
  } catch (error) {
    throw asGreenwaveError(error);
  }
  return decisionOf(text);
}

/** What is unsatisfied only until somebody's results come. */
const COMES_YET = ['test-result-missing', 'test-result-incomplete'];

/**
 * What Greenwave says of kernels, for gates that wait for it. A yes is of this very moment; what is no yes is not asked again
 * before `pause` ms are over: messages make a gate look often.
 * @param now milliseconds, by the gate's clock
 */
export function greenwaveWords(
  settings: GreenwaveGates,
  pause: number,
  now: () => number,
): (gate: string, nvr: string) => Promise<GreenwaveWord> {
  const told = new Map<string, { readonly at: number; readonly word: GreenwaveWord }>();
  return async (gate, nvr) => {
    const key = `${gate} ${nvr}`;
    const last = told.get(key);
    if (last && now() < last.at + pause) return last.word;
    const word = await wordOf(settings, questionOf(settings, gate, nvr));
    for (const [one, { at }] of told) if (now() >= at + pause) told.delete(one);
    if (word.says !== 'yes') told.set(key, { at: now(), word });
    return word;
  };
}

/** What a gate asks about a kernel. */
export const questionOf = (
  { productVersion, decisionContext }: GreenwaveGates,
  gate: string,
  nvr: string,
): Question => ({
  product_version: productVersion.replaceAll('GATE', gate),
  decision_context: decisionContext.replaceAll('GATE', gate),
  nvr,
});

async function wordOf(at: GreenwaveAt, question: Question): Promise<GreenwaveWord> {
  try {
    const { satisfied, summary, unsatisfied } = await askGreenwave(at, question);
    if (satisfied) return { says: 'yes', why: summary };
    const comes = unsatisfied.length > 0 && unsatisfied.every(({ type }) => COMES_YET.includes(type));
    const first = unsatisfied.slice(0, NAMED).map(({ text }) => text);
    const more = unsatisfied.length > NAMED ? [`${unsatisfied.length - NAMED} more`] : [];
    return { says: comes ? 'later' : 'no', why: [summary, [...first, ...more].join(', ')].join(': ') };
  } catch (error) {
    if (!(error instanceof GreenwaveError)) throw error;
    return { says: error.kind === 'unavailable' ? 'later' : 'no', why: error.message };
  }
}

/** So many requirements are named. */
const NAMED = 3;

/** Its own troubles, and those of whom it asks, pass (408, 429, 5xx); what else it refuses is for people. */
function asGreenwaveError(cause: unknown): unknown {
  if (!(cause instanceof TellError)) return cause;
  if (!(cause instanceof StatusError)) return new GreenwaveError('unavailable', cause.message, { cause });
  const { status } = cause;
  const passes = status >= 500 || status === 408 || status === 429;
  const told = messageIn(cause.message) ?? cause.message;
  const hint =
    status === 404 ? '; is there a policy for this product version and decision context, and the build?' : '';
  return new GreenwaveError(passes ? 'unavailable' : 'refused', `Greenwave: ${status}: ${told}${hint}`, {
    cause,
  });
}

/** Greenwave's `message`, of an error that came with one. */
function messageIn(text: string): string | undefined {
  const json = text.slice(Math.max(0, text.indexOf('{')));
  const told = failure.safeParse(parsed(json));
  return told.success ? visible(told.data.message) : undefined;
}

function decisionOf(text: string): Decision {
  const read = answer.safeParse(parsed(text));
  if (!read.success) {
    const [issue] = read.error.issues;
    const where = issue ? `${issue.path.join('.') || 'the answer'}: ${issue.message}` : '';
    throw new GreenwaveError('unavailable', `Greenwave: an answer that is no decision: ${visible(where)}`);
  }
  const { policies_satisfied: satisfied, summary, applicable_policies, unsatisfied_requirements } = read.data;
  const unsatisfied = unsatisfied_requirements.map(requirementOf);
  if (satisfied && unsatisfied.length > 0)
    throw new GreenwaveError(
      'refused',
      `Greenwave contradicts itself: satisfied, and not ${unsatisfied[0]?.text ?? ''}`,
    );
  if (satisfied && applicable_policies.length === 0)
    throw new GreenwaveError('refused', 'Greenwave: no policy applies, so nothing is decided');
  return { satisfied, summary: visible(summary), policies: applicable_policies, unsatisfied };
}

function requirementOf(read: z.infer<typeof requirement>): Requirement {
  const { type, testcase = null, scenario = null, result_id = null } = read;
  const why = read.error_reason ?? read.details ?? read.error;
  const words = [
    testcase ?? type,
    ...(scenario === null ? [] : [`(${scenario})`]),
    type.replace(/^test-result-/, ''),
    ...(why ? [`- ${why}`] : []),
  ];
  return { type, testcase, scenario, result: result_id, text: visible(words.join(' ')) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
