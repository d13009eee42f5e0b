/** The dashboard: what the store knows, as pages for people and JSON for programs. It only reads. */
import { createHash } from 'node:crypto';
import { type FastifyError, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import type { Explanation, RunPage, WaiverReport } from '../report/report.ts';
import { visibleLines } from '../report/visible.ts';
import { ListenError } from './error.ts';
import { type Health, isWorking } from './health.ts';
import { type Html, markupOf } from './html.ts';
import { kernelPage, messagePage, runsPage, waiversPage } from './pages.ts';
import { STYLE } from './style.ts';

/** Where the dashboard gets what it shows. */
export interface Sources {
  /**
   * A page of the runs, newest first.
   * @param page how many at the most, and the id of the run that they come after; undefined where there is no such run
   */
  runs(page: RunsWanted): Promise<RunPage | undefined>;
  /** @param subject NVR or Koji build id; undefined where the store has never seen it */
  explain(subject: string): Promise<Explanation | undefined>;
  /** Another text whenever `explain` would say something else, but for the time; undefined where it would say nothing. */
  revision(subject: string): Promise<string | undefined>;
  /** All waivers, newest first. */
  waivers(): Promise<WaiverReport[]>;
  health(): Health;
}

/** Which runs are listed: only those older than `before`, the id of one. */
export interface RunsWanted {
  readonly limit: number;
  readonly before?: string;
}

const STYLE_HASH = createHash('sha256').update(markupOf(STYLE)).digest('base64');

const HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Serve the dashboard: `/` and `/?before=RUN`, `/kernel/SUBJECT`, `/waivers`, the same as JSON below `/api/`, and `/healthz`.
 * @param listen where; port 0 is any free port
 * @returns its URL; `close` cuts connections that are still open
 * @throws ListenError
 */
export async function serveDashboard(
  listen: { readonly host: string; readonly port: number },
  sources: Sources,
  log: Logger,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const app = createApp(sources, log);
  try {
    const url = await app.listen(listen);
    return { url, close: () => app.close() };
  } catch (cause) {
    throw new ListenError(describeRefusal(listen, cause), { cause });
  }
}

function createApp(sources: Sources, log: Logger) {
  const onError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
    answerError(log, error, request, reply);
  // An open connection with half a request on it must not keep the gate from stopping.
  const app = fastify({ forceCloseConnections: true, frameworkErrors: onError });
  app.setErrorHandler(onError);
  // For whoever reads the JSON with curl, on a terminal.
  app.setReplySerializer((payload) => visibleLines(JSON.stringify(payload)));
  app.setNotFoundHandler((request, reply) => refuse(request, reply, 404, `There is no page ${request.url}.`));

  // What was started anew may say it in other words, or with other links.
  const edition = Date.now();
  app.get<OfRuns>('/', ofRuns, async (request, reply) => {
    const page = await sources.runs(request.query);
    if (!page) return refuseRun(request, reply);
    return sendPage(reply, runsPage(page, request.query.before !== undefined, sources.health(), Date.now()));
  });
  app.get<OfKernel>('/kernel/:subject', async (request, reply) => {
    const { subject } = request.params;
    // A page that loads itself again makes a gate read the run only where it would be another, or its times are old.
    const revision = await sources.revision(subject);
    const minute = Math.floor(Date.now() / 60_000);
    if (revision && isKnown(request, reply, `${edition}.${revision}.${minute}`))
      return reply.code(304).send();
    const explanation = await sources.explain(subject);
    if (!explanation) return refuseUnknown(request, reply);
    return sendPage(reply, kernelPage(explanation, Date.now()));
  });
  app.get('/waivers', async (_request, reply) => sendPage(reply, waiversPage(await sources.waivers())));
  app.get<OfRuns>('/api/runs', ofRuns, async (request, reply) => {
    const page = await sources.runs(request.query);
    return page ? reply.headers(HEADERS).send(page) : refuseRun(request, reply);
  });
  app.get<OfKernel>('/api/kernel/:subject', async (request, reply) => {
    const explanation = await sources.explain(request.params.subject);
    return explanation ? reply.headers(HEADERS).send(explanation) : refuseUnknown(request, reply);
  });
  app.get('/api/waivers', async (_request, reply) =>
    reply.headers(HEADERS).send({ waivers: await sources.waivers() }),
  );
  app.get('/healthz', async (_request, reply) => {
    const health = sources.health();
    const ok = isWorking(health, Date.now());
    return reply
      .code(ok ? 200 : 503)
      .headers(HEADERS)
      .send({ ok, ...health });
  });
  return app;
}

interface OfRuns {
  Querystring: RunsWanted;
}

/** How many runs a page lists, unless asked, and at the most. */
const LISTED = 50;
const LISTED_MOST = 200;
const ofRuns = {
  schema: {
    querystring: {
      type: 'object',
      properties: {
        limit: { type: 'integer', minimum: 1, maximum: LISTED_MOST, default: LISTED },
        before: { type: 'string', minLength: 1 },
      },
    },
  },
};

interface OfKernel {
  Params: { subject: string };
}

/** Whether the reader has this edition already; else the reply tells which it is. */
function isKnown(request: FastifyRequest, reply: FastifyReply, edition: string): boolean {
  const tag = `"${edition}"`;
  reply.headers({ ...HEADERS, 'cache-control': 'private, no-cache', etag: tag });
  return request.headers['if-none-match'] === tag;
}

function sendPage(reply: FastifyReply, page: Html): FastifyReply {
  const { 'cache-control': caching = HEADERS['cache-control'] } = reply.getHeaders();
  return reply
    .headers({ ...HEADERS, 'cache-control': caching })
    .type('text/html; charset=utf-8')
    .send(markupOf(page));
}

function refuseUnknown(request: FastifyRequest<OfKernel>, reply: FastifyReply): FastifyReply {
  const { subject } = request.params;
  return refuse(
    request,
    reply,
    404,
    `No kernel build ${subject} was ever seen here. Give an NVR or a Koji build id.`,
  );
}

function refuseRun(request: FastifyRequest<OfRuns>, reply: FastifyReply): FastifyReply {
  return refuse(request, reply, 404, `There is no run ${request.query.before} here.`);
}

/** Say no in the form that the route speaks. */
function refuse(request: FastifyRequest, reply: FastifyReply, status: number, error: string): FastifyReply {
  reply.code(status);
  if (/^\/(api\/|healthz)/.test(request.url)) return reply.headers(HEADERS).send({ error });
  return sendPage(reply, messagePage(status === 404 ? 'Not found' : 'That did not work', error));
}

/** A request's own fault (a malformed URL) is told; anything else is logged and told nothing of. */
function answerError(
  log: Logger,
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { statusCode = 500 } = error;
  if (statusCode < 500) return refuse(request, reply, statusCode, error.message);
  log.error({ err: error, url: request.url }, 'could not answer');
  return refuse(request, reply, 500, 'The dashboard could not answer; the log of kmod-gate says why.');
}

const REFUSALS: Record<string, string> = {
  EADDRINUSE: 'another program listens there',
  EACCES: 'the system does not allow this port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'the host name is not known',
};

function describeRefusal({ host, port }: { host: string; port: number }, error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return `the dashboard cannot listen on ${place}: ${REFUSALS[code] ?? message}; choose another address or port with listen in [http]`;
}
