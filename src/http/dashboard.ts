/** The dashboard: what the store knows, as pages for people and JSON for programs. It only reads. */
import { createHash } from 'node:crypto';
import { type FastifyError, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import type { Explanation, RunReport, WaiverReport } from '../report/report.ts';
import { visibleLines } from '../report/visible.ts';
import { ListenError } from './error.ts';
import { type Health, isWorking } from './health.ts';
import { type Html, markupOf } from './html.ts';
import { kernelPage, messagePage, runsPage, waiversPage } from './pages.ts';
import { STYLE } from './style.ts';

/** Where the dashboard gets what it shows. */
export interface Sources {
  /** The newest runs, newest first. */
  runs(): Promise<RunReport[]>;
  /** @param subject NVR or Koji build id; undefined where the store has never seen it */
  explain(subject: string): Promise<Explanation | undefined>;
  /** All waivers, newest first. */
  waivers(): Promise<WaiverReport[]>;
  health(): Health;
}

const STYLE_HASH = createHash('sha256').update(markupOf(STYLE)).digest('base64');

const HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Serve the dashboard: `/`, `/kernel/SUBJECT`, `/waivers`, the same as JSON below `/api/`, and `/healthz`.
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

  app.get('/', async (_request, reply) =>
    sendPage(reply, runsPage(await sources.runs(), sources.health(), Date.now())),
  );
  app.get<OfKernel>('/kernel/:subject', async (request, reply) => {
    const explanation = await sources.explain(request.params.subject);
    if (!explanation) return refuseUnknown(request, reply);
    return sendPage(reply, kernelPage(explanation, Date.now()));
  });
  app.get('/waivers', async (_request, reply) => sendPage(reply, waiversPage(await sources.waivers())));
  app.get('/api/runs', async (_request, reply) =>
    reply.headers(HEADERS).send({ runs: await sources.runs() }),
  );
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

interface OfKernel {
  Params: { subject: string };
}

function sendPage(reply: FastifyReply, page: Html): FastifyReply {
  return reply.headers(HEADERS).type('text/html; charset=utf-8').send(markupOf(page));
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
