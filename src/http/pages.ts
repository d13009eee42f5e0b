/** The routes of the pages for people: what is in the address, what is asked of the sources, and which page it becomes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Verdict } from '../core/model.ts';
import type { Need } from '../report/needs.ts';
import type { RunsWanted } from '../report/report.ts';
import { causePage, kmodPage, symbolPage } from './histories.ts';
import { type Html, markupOf } from './html.ts';
import { ICON } from './icon.ts';
import { kernelPage } from './kernel.ts';
import { type Chosen, overviewPage, runsPage } from './overview.ts';
import { messagePage } from './parts.ts';
import type { Sources } from './sources.ts';
import { waiversPage } from './waivers.ts';

/** So many kernels a page of the matrix has, so many runs a page of their list, and so many at the most. */
const KERNELS = 10;
const RUNS = 12;
const MOST = { kernels: 30, runs: 200 };
/** So many kernels that need somebody are told. */
const NEEDS = 12;

/** What the address of a list of runs may say; what is empty leaves no run out. */
export interface OfRuns {
  Querystring: {
    readonly limit?: number;
    readonly before?: string;
    readonly gate?: string;
    readonly verdict?: Verdict | 'none' | '';
    readonly kmod?: string;
    /** Days, or times, in ISO 8601; `until` a day means to its end. */
    readonly since?: string;
    readonly until?: string;
  };
}

const TIME = { type: 'string', pattern: '^(\\d{4}-\\d\\d-\\d\\d(T[0-9:.]+Z?)?)?$' };
/** The schema of those addresses. */
export const ofRuns = {
  schema: {
    querystring: {
      type: 'object',
      properties: {
        limit: { type: 'integer', minimum: 1, maximum: MOST.runs },
        before: { type: 'string', minLength: 1 },
        gate: { type: 'string' },
        verdict: { enum: ['promote', 'block', 'hold', 'none', ''] },
        kmod: { type: 'string', maxLength: 200 },
        since: TIME,
        until: TIME,
      },
    },
  },
};

export interface OfKernel {
  Params: { subject: string };
}

interface OfName {
  Params: { kind: string; name: string };
  Querystring: { before?: number };
}
const ofName = {
  schema: { querystring: { type: 'object', properties: { before: { type: 'integer', minimum: 0 } } } },
};

const DAY = 24 * 3_600_000;

/** Which runs an address wants. A filter that is left empty, as forms do, is none. */
export function wantedRuns(query: OfRuns['Querystring'], limit: number): RunsWanted {
  const { before, gate, verdict, kmod, since, until } = query;
  const from = timeOf(since);
  const to = timeOf(until);
  return {
    limit: query.limit ?? limit,
    ...(before && { before }),
    ...(gate && { gate }),
    ...(verdict && { verdict }),
    ...(kmod && { kmod }),
    ...(from !== undefined && { since: from }),
    ...(to !== undefined && { until: until?.includes('T') ? to : to + DAY }),
  };
}

function timeOf(text: string | undefined): number | undefined {
  const at = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

/** The same as links and forms have it. */
const chosenOf = (query: OfRuns['Querystring']): Chosen =>
  Object.fromEntries(Object.entries(query).filter(([, value]) => value !== '' && value !== undefined));

/** Register the pages, the icon, and nothing else. */
export function registerPages(
  app: FastifyInstance,
  sources: Sources,
  edition: string,
  headers: Readonly<Record<string, string>>,
): void {
  const pages = rememberPages();
  /** Answer with a page that is the same for all until the store says otherwise, or its times are old. */
  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    subject: string | undefined,
    make: () => Promise<Html | string>,
  ): Promise<FastifyReply> {
    const revision = await sources.revision(subject);
    if (revision === undefined) return sendMade(reply, await make());
    const minute = Math.floor(Date.now() / 60_000);
    const { trouble, login, bus, lease } = sources.health();
    const tag = `"${edition}.${revision}.${minute}${trouble ? '.silent' : ''}${login?.state === 'fails' ? '.out' : ''}${bus?.connected === false ? '.deaf' : ''}${lease ? `.${lease.acts}.${lease.token}` : ''}"`;
    reply.headers({ ...headers, 'cache-control': 'private, no-cache', etag: tag });
    if (request.headers['if-none-match'] === tag) return reply.code(304).send();
    return sendMade(reply, await pages(request.url, tag, make));
  }
  /** @param made a page, or why there is none */
  function sendMade(reply: FastifyReply, made: Html | string): FastifyReply {
    if (typeof made !== 'string') return sendPage(reply, headers, markupOf(made));
    reply.removeHeader('etag').header('cache-control', 'no-store');
    return sendPage(reply.code(404), headers, markupOf(messagePage('Not found', made)));
  }

  app.get<OfRuns>('/', ofRuns, (request, reply) =>
    answer(request, reply, undefined, async () => {
      const { query } = request;
      const wanted = wantedRuns(query, KERNELS);
      const matrix = await sources.matrix({ ...wanted, limit: Math.min(wanted.limit, MOST.kernels) });
      if (!matrix) return `There is no run ${query.before} here.`;
      const needs = query.before === undefined ? await sources.needs(NEEDS) : { needs: [], more: 0 };
      return overviewPage(needs, matrix, sources.gates, chosenOf(query), sources.health(), Date.now());
    }),
  );
  app.get<OfRuns>('/runs', ofRuns, (request, reply) =>
    answer(request, reply, undefined, async () => {
      const { query } = request;
      const page = await sources.runs(wantedRuns(query, RUNS));
      if (!page) return `There is no run ${query.before} here.`;
      return runsPage(page, sources.gates, chosenOf(query), sources.health(), Date.now());
    }),
  );
  app.get<OfKernel>('/kernel/:subject', (request, reply) => {
    const { subject } = request.params;
    return answer(request, reply, subject, async () => {
      const explanation = await sources.explain(subject);
      if (!explanation) return describeUnknown(subject);
      const needs = new Map<string, Need>();
      for (const report of explanation.runs) {
        const need = sources.needOf(report);
        if (need) needs.set(report.run, need);
      }
      return kernelPage(explanation, needs, Date.now());
    });
  });
  app.get<OfName>('/kmod/:name', (request, reply) => {
    const { name } = request.params;
    return answer(request, reply, undefined, async () => {
      const found = await sources.kmod(name);
      return found
        ? kmodPage(found, Date.now())
        : `No kmod ${name} was ever tried here. Give its package's name.`;
    });
  });
  app.get<OfName>('/symbol/:name', ofName, (request, reply) => {
    const { before } = request.query;
    return answer(request, reply, undefined, async () =>
      symbolPage(await sources.symbol(request.params.name, before), before !== undefined, Date.now()),
    );
  });
  app.get<OfName>('/cause/:kind/:name', ofName, (request, reply) => {
    const { before } = request.query;
    const { kind, name } = request.params;
    return answer(request, reply, undefined, async () =>
      causePage(await sources.cause({ kind, name }, before), before !== undefined, Date.now()),
    );
  });
  app.get('/waivers', (request, reply) =>
    answer(request, reply, undefined, async () => waiversPage(await sources.waivers())),
  );
  app.get('/favicon.svg', async (_request, reply) =>
    reply
      .headers({ ...headers, 'cache-control': 'max-age=86400' })
      .type('image/svg+xml')
      .send(ICON),
  );
}

/** So many pages are kept as they were made last. */
const KEPT = 60;

/** Pages by their address: who asks while one is made, or for the same edition, gets the same. */
function rememberPages() {
  const known = new Map<string, { readonly tag: string; readonly made: Promise<Html | string> }>();
  return (url: string, tag: string, make: () => Promise<Html | string>): Promise<Html | string> => {
    const last = known.get(url);
    if (last?.tag === tag) return last.made;
    const made = make();
    known.delete(url);
    known.set(url, { tag, made });
    // What failed is tried again.
    made.catch(() => known.get(url)?.made === made && known.delete(url));
    for (const oldest of known.keys()) {
      if (known.size <= KEPT) break;
      known.delete(oldest);
    }
    return made;
  };
}

/** Send a page; how it may be kept is as the reply has it already. */
export function sendPage(
  reply: FastifyReply,
  headers: Readonly<Record<string, string>>,
  markup: string,
): FastifyReply {
  const { 'cache-control': caching = headers['cache-control'] } = reply.getHeaders();
  return reply
    .headers({ ...headers, 'cache-control': caching })
    .type('text/html; charset=utf-8')
    .send(markup);
}

/** Of a kernel that the store has never seen. */
export const describeUnknown = (subject: string): string =>
  `No kernel build ${subject} was ever seen here. Give an NVR or a Koji build id.`;
