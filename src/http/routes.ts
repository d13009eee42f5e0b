/** The routes of the API: what each takes and answers. The server and the description are both made of this. */
import { z } from 'zod';
import type { Gate } from '../core/gate.ts';
import type { RunsWanted } from '../report/report.ts';
import { type Health, isWorking } from './health.ts';
import { as, explanation, id, kmodHistory, ofRun, runPage, verdict, waivers } from './reportschemas.ts';
import type { Sources } from './sources.ts';

/** Where they begin. Within `v1` fields may come, and none goes or means something else. */
export const PREFIX = '/api/v1';

/** How many runs a page lists, unless asked, and at the most. */
export const LISTED = 50;
export const LISTED_MOST = 200;

/** A gate as its configuration has it, but for how it builds and judges. */
export type GateReport = Pick<
  Gate,
  'name' | 'kernels' | 'watch' | 'mode' | 'strategy' | 'on_pass' | 'on_fail'
> & {
  readonly kmods: Pick<Gate['kmods'], 'tag' | 'include' | 'exclude' | 'advisory'>;
};

/** Something that a person says to a gate. */
export type Word =
  | ({ readonly kind: 'waive' } & z.infer<typeof waive>)
  | ({ readonly kind: 'unwaive' } & z.infer<typeof unwaive>)
  | ({ readonly kind: OrderKind; readonly kmod?: string } & z.infer<typeof anyOrder>);

export type OrderKind = 'retry' | 'hold' | 'release' | 'cancel';

/** What came of it. */
export interface Answer {
  /** The same in sentences, as the command would print them. */
  readonly said: readonly string[];
  /** The waiver that was made or ended; absent: it is about none. */
  readonly waiver?: number;
  /** The runs that it is about. */
  readonly runs: readonly {
    readonly run: string;
    readonly gate: string;
    readonly build: number;
    readonly nvr: string;
  }[];
}

/** What the API tells beside what the pages show, and whom it tells what people say. */
export interface ApiSources extends Pick<Sources, 'runs' | 'explain' | 'kmod' | 'waivers' | 'health'> {
  readonly gateReports: readonly GateReport[];
  /**
   * Say something to the gate.
   * @param by who says so
   * @throws WordError where it cannot be meant
   */
  say(word: Word, by: string): Promise<Answer>;
}

/** What a route takes from the address and the body of a request, checked. */
export interface Asked {
  readonly params: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** Below PREFIX, with parameters as `:name`. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodObject;
  readonly answer: z.ZodType;
  /** Other answers that it has of its own, and when. */
  readonly refusals?: Readonly<Record<number, string>>;
  /** What there is to answer; a number: that status. Of a route that reads. */
  readonly read?: (sources: ApiSources, asked: Asked, now: number) => Promise<unknown>;
  /** What is said. Of a route that writes. */
  readonly word?: (body: unknown) => Word;
}

/** Not found, and what there is not. */
export class Missing {
  readonly error: string;
  constructor(error: string) {
    this.error = error;
  }
}

const short = z.string().max(200);
const reason = z.string().max(2_000);
const gate = short.describe('at this gate alone; absent: at any').exactOptional();

const waive = z.strictObject({
  kernel: short.describe('NVR, a pattern of NVRs, or "next"'),
  kmod: short.describe('package name, a pattern, or "stablelist"'),
  reason,
  until: short
    .describe('a date (UTC), or a duration such as "7d"; absent: no end, where longest_waiver allows that')
    .exactOptional(),
  all_kmods: z.boolean().describe('a pattern that all kmods fit is really meant').exactOptional(),
  gate,
});
const unwaive = z.strictObject({ id: z.int().min(1).describe('as /waivers lists it') });
const anyOrder = z.strictObject({
  kernel: short.describe('NVR or Koji build id'),
  reason: reason.exactOptional(),
  gate,
});
const retry = anyOrder.extend({
  kmod: short
    .describe('these kmods, fine or not: a name or a pattern; absent: all that are not fine')
    .exactOptional(),
});

export const answer: z.ZodType<Answer> = as(
  'Answer',
  z.object({
    said: z.array(z.string()).describe('what came of it, as the command prints it'),
    waiver: id.exactOptional(),
    runs: z.array(z.object(ofRun)),
  }),
);

const tags = z.object({ tag: z.array(z.string()), untag: z.array(z.string()) });
const names = z.array(z.string());
export const gates: z.ZodType<{ readonly gates: readonly GateReport[] }> = as(
  'Gates',
  z.object({
    gates: z.array(
      z.object({
        ...{ name: z.string(), kernels: names, watch: z.string(), mode: z.enum(['enforce', 'observe']) },
        strategy: z.enum(['rebuild', 'symbols', 'symbols-then-rebuild', 'symbols-and-rebuild']),
        kmods: z.object({ tag: z.string(), include: names, exclude: names, advisory: names }),
        ...{ on_pass: tags, on_fail: tags },
      }),
    ),
  }),
);

/** What a refusal says, and the field that it is about, where it is one. */
export const refusal = as('Error', z.object({ error: z.string(), field: z.string().exactOptional() }));

const time = z.number();
const health: z.ZodType<Health & { readonly ok: boolean }> = as(
  'Health',
  z.object({
    ok: z.boolean(),
    ...{ started_at: time, looked_at: time.nullable() },
    look_every: time.exactOptional(),
    trouble: z.object({ since: time, reason: z.string() }).nullable(),
    login: z
      .union([
        z.object({ state: z.enum(['waiting', 'works']), since: time }),
        z.object({ state: z.literal('fails'), since: time, reason: z.string() }),
      ])
      .exactOptional(),
    lease: z
      .object({
        ...{ acts: z.boolean(), since: time, name: z.string(), holder: z.string().nullable() },
        ...{ token: id.nullable(), reason: z.string().exactOptional() },
      })
      .exactOptional(),
    bus: z
      .looseObject({
        ...{ connected: z.boolean(), since: time, received: id, undecodable: id },
        ...{ lastMessageAt: time.exactOptional(), lastError: z.string().exactOptional() },
      })
      .nullable(),
    tell: z
      .array(
        z.object({
          ...{ channel: z.string(), sent: id, waiting: id, failed: id },
          ...{ oldest: time.nullable(), error: z.string().nullable() },
        }),
      )
      .exactOptional(),
  }),
);

const MANY = { error: `expected a whole number from 1 to ${LISTED_MOST}` };
const TIME = { error: 'expected a time in milliseconds since the epoch' };
const runs = z.strictObject({
  limit: z.coerce
    .number(MANY)
    .int(MANY)
    .min(1, MANY)
    .max(LISTED_MOST, MANY)
    .default(LISTED)
    .describe('so many at the most'),
  before: z
    .string()
    .min(1)
    .max(200)
    .describe('only older ones than this run, as "older" of a page names it')
    .exactOptional(),
  gate: z.string().min(1).max(200).exactOptional(),
  verdict: z
    .enum([...verdict.options, 'none'])
    .describe('"none": without one')
    .exactOptional(),
  kmod: z.string().min(1).max(200).describe('that try such a kmod: a name or a pattern').exactOptional(),
  since: z.coerce.number(TIME).describe('that began then or later, in ms since the epoch').exactOptional(),
  until: z.coerce.number(TIME).describe('that began before').exactOptional(),
});

const order = (kind: OrderKind, summary: string, body: typeof anyOrder | typeof retry = anyOrder): Route => ({
  ...{ method: 'POST', path: `/${kind}`, name: kind, summary, body, answer },
  word: (said) => ({ kind, ...(said as z.infer<typeof anyOrder>) }),
});

export const ROUTES: readonly Route[] = [
  {
    ...{ method: 'GET', path: '/runs', name: 'runs', summary: 'Runs, newest first, by page' },
    ...{ query: runs, answer: runPage },
    refusals: { 404: 'There is no run "before"' },
    read: async (sources, { query }) =>
      (await sources.runs(query as unknown as RunsWanted)) ??
      new Missing(`There is no run ${query['before']} here.`),
  },
  {
    ...{ method: 'GET', path: '/kernels/:subject', name: 'kernel' },
    summary: 'All about one kernel build: every run, and the journal',
    params: z.object({ subject: z.string().describe('NVR or Koji build id') }),
    answer: explanation,
    refusals: { 404: 'No such kernel build was ever seen' },
    read: async (sources, { params: { subject } }) =>
      (await sources.explain(String(subject))) ??
      new Missing(`No kernel build ${subject} was ever seen here. Give an NVR or a Koji build id.`),
  },
  {
    ...{ method: 'GET', path: '/kmods/:name', name: 'kmod' },
    summary: 'One kmod over kernels and gates: how it did, since when it is broken, and what would mend it',
    params: z.object({ name: z.string().describe('package name') }),
    answer: kmodHistory,
    refusals: { 404: 'No such kmod was ever tried' },
    read: async (sources, { params: { name } }) =>
      (await sources.kmod(String(name))) ??
      new Missing(`No kmod ${name} was ever tried here. Give the name of its package.`),
  },
  {
    ...{ method: 'GET', path: '/waivers', name: 'waivers', summary: 'All waivers, newest first' },
    answer: waivers,
    read: async (sources) => ({ waivers: await sources.waivers() }),
  },
  {
    ...{ method: 'GET', path: '/gates', name: 'gates', summary: 'The gates, as they are configured' },
    answer: gates,
    read: async (sources) => ({ gates: sources.gateReports }),
  },
  {
    ...{ method: 'GET', path: '/health', name: 'health' },
    summary: 'Whether the gate does its work ("ok"), and how hub and bus are',
    answer: health,
    read: async (sources, _, now) => {
      const known = sources.health();
      return { ok: isWorking(known, now), ...known };
    },
  },
  {
    ...{ method: 'POST', path: '/waive', name: 'waive' },
    summary: 'Let kernels through although a kmod is broken or inconclusive',
    ...{ body: waive, answer },
    word: (said) => ({ kind: 'waive', ...(said as z.infer<typeof waive>) }),
  },
  {
    ...{ method: 'POST', path: '/unwaive', name: 'unwaive', summary: 'End a waiver' },
    ...{ body: unwaive, answer },
    word: (said) => ({ kind: 'unwaive', ...(said as z.infer<typeof unwaive>) }),
  },
  order('retry', 'Try again the kmods that are not fine, by their newest builds', retry),
  order('hold', 'Keep a kernel where it is, whatever the verdict, until it is released'),
  order('release', 'End a hold'),
  order('cancel', "End a kernel's run: its builds are cancelled, its tags stay"),
];
