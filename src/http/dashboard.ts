/** The dashboard: what the store knows, as pages for people; the API beside it is in api.ts. */
import { createHash } from 'node:crypto';
import { type FastifyError, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import { visibleLines } from '../report/visible.ts';
import { addApi } from './api.ts';
import { type Access, createGuard } from './guard.ts';
import { type Html, markupOf } from './html.ts';
import { type Address, type Listening, listenAt } from './listen.ts';
import { registerEvents, SCRIPT } from './live.ts';
import { addMetrics } from './metrics.ts';
import { registerPages, sendPage } from './pages.ts';
import { messagePage } from './parts.ts';
import { addProbes } from './ready.ts';
import type { ApiSources } from './routes.ts';
import type { Sources } from './sources.ts';
import { STYLE } from './style.ts';

export type { Sources } from './sources.ts';

/** What the API has beside the pages, of which version it is, and whom both let in. */
export interface Machine extends Pick<ApiSources, 'gateReports' | 'say'> {
  readonly version: string;
  readonly access: Access;
}

const hashOf = (content: Html): string =>
  `'sha256-${createHash('sha256').update(markupOf(content)).digest('base64')}'`;

/** Nothing comes from another host, and nothing in a page is obeyed but its own style and script. */
export const HEADERS = {
  'content-security-policy': `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/**
 * Serve the dashboard: the pages of pages.ts, `/events`, `/healthz`, `/readyz`, `/metrics`, and the API where it is given.
 * @param listen where; port 0 is any free port
 * @returns its URL; `close` cuts connections that are still open
 * @throws ListenError
 */
export async function serveDashboard(
  listen: Address,
  sources: Sources,
  log: Logger,
  machine?: Machine,
): Promise<Listening> {
  return listenAt(createApp(sources, log, machine), listen, { name: 'the dashboard', key: 'listen' });
}

function createApp(sources: Sources, log: Logger, machine?: Machine) {
  const guard = machine && createGuard(machine.access, log);
  const onError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) =>
    answerError(log, error, request, reply);
  // An open connection with half a request on it must not keep the gate from stopping.
  const app = fastify({ forceCloseConnections: true, frameworkErrors: onError });
  app.setErrorHandler(onError);
  app.addHook('onRequest', async (request, reply) => {
    const refusal = guard?.reading(request);
    if (refusal) return refuse(request, reply.headers(refusal.headers ?? {}), refusal.status, refusal.error);
    return undefined;
  });
  // For whoever reads the JSON with curl, on a terminal.
  app.setReplySerializer((payload) => visibleLines(JSON.stringify(payload)));
  app.setNotFoundHandler((request, reply) => refuse(request, reply, 404, `There is no page ${request.url}.`));

  // What was started anew may say it in other words, or with other links.
  const edition = String(Date.now());
  registerPages(app, sources, edition, HEADERS);
  registerEvents(app, sources.onChange, edition, HEADERS);
  if (sources.metrics) addMetrics(app, sources.metrics, HEADERS);
  // Where reading is closed anybody may know that much.
  addProbes(app, sources.health, { headers: HEADERS, brief: machine?.access.closed ?? false });
  if (guard && machine)
    addApi(app, { ...machine, sources: { ...sources, ...machine }, guard, headers: HEADERS, log });
  return app;
}

/** Say no in the form that the route speaks. */
function refuse(request: FastifyRequest, reply: FastifyReply, status: number, error: string): FastifyReply {
  reply.code(status);
  if (/^\/(api\/|healthz|readyz|metrics)/.test(request.url)) return reply.headers(HEADERS).send({ error });
  const page = messagePage(status === 404 ? 'Not found' : 'That did not work', error);
  return sendPage(reply, HEADERS, markupOf(page));
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
