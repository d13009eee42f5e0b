/** The API: what the store knows as JSON, and what people say to the gate. docs/api.md tells of its use. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { visible } from '../report/visible.ts';
import { WordError } from './error.ts';
import { type Guard, isRefusal, sendRefusal } from './guard.ts';
import { describeApi } from './openapi.ts';
import { type ApiSources, Missing, PREFIX, ROUTES, type Route } from './routes.ts';
import type { Holder } from './tokens.ts';

/** What people say is short, in bytes. */
const LONGEST = 16_384;

export interface ApiOptions {
  readonly sources: ApiSources;
  readonly guard: Guard;
  /** Go with every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of kmod-gate. */
  readonly version: string;
  readonly log: Logger;
}

/** Add the routes of the API to a server. Who may read is asked by the server itself, of all that it has. */
export function addApi(app: FastifyInstance, options: ApiOptions): void {
  const { headers } = options;
  app.register(
    async (api) => {
      // A form, which any page can have a browser send, is text to a server that takes it.
      api.removeContentTypeParser('text/plain');
      api.addContentTypeParser('*', async () => {
        throw Object.assign(new Error('Say it in JSON, with "Content-Type: application/json".'), {
          statusCode: 415,
        });
      });
      api.addHook('onRequest', async (_request, reply) => {
        reply.headers(headers);
      });
      api.setValidatorCompiler(({ schema }) => validatorOf(schema as unknown as NonNullable<Route['body']>));
      const description = describeApi(options.version);
      api.get('/openapi.json', async () => description);
      for (const route of ROUTES) {
        if (route.word) addWriting(api, route, route.word, options);
        else if (route.read) addReading(api, route, route.read, options);
      }
    },
    { prefix: PREFIX },
  );
}

const checksOf = ({ params, query, body }: Route) => ({
  ...(params && { params }),
  ...(query && { querystring: query }),
  ...(body && { body }),
});

function addReading(
  api: FastifyInstance,
  route: Route,
  read: NonNullable<Route['read']>,
  { sources }: ApiOptions,
): void {
  api.get<{ Params: Record<string, unknown>; Querystring: Record<string, unknown> }>(
    route.path,
    { schema: checksOf(route) },
    async ({ params, query, body }, reply) => {
      const found = await read(sources, { params, query, body }, Date.now());
      if (found instanceof Missing) return sendRefusal(reply, { status: 404, error: found.error });
      return reply.send(found);
    },
  );
}

function addWriting(
  api: FastifyInstance,
  route: Route,
  word: NonNullable<Route['word']>,
  { sources, guard, log }: ApiOptions,
): void {
  const holders = new WeakMap<FastifyRequest, Holder>();
  api.post(
    route.path,
    {
      schema: checksOf(route),
      bodyLimit: LONGEST,
      // Before the body is read.
      onRequest: async (request, reply): Promise<FastifyReply | undefined> => {
        const holder = guard.writing(request);
        if (isRefusal(holder)) return sendRefusal(reply, holder);
        holders.set(request, holder);
        return undefined;
      },
    },
    async (request, reply) => {
      const holder = holders.get(request);
      if (!holder) throw new Error('nobody was asked who writes');
      const { name: person } = holder;
      const asked = { person, ip: request.ip, route: route.path };
      try {
        const answer = await sources.say(word(request.body), `${person} (API)`);
        log.info(asked, visible(`${person} by the API: ${answer.said[0]?.trim() ?? route.name}`));
        return reply.send(answer);
      } catch (error) {
        if (!(error instanceof WordError)) throw error;
        log.info({ ...asked, reason: visible(error.message) }, `${person} by the API: refused`);
        const { message, field } = error;
        return reply.code(422).send({ error: message, ...(field !== undefined && { field }) });
      }
    },
  );
}

/** What fastify checks a part of a request by. */
const validatorOf = (schema: NonNullable<Route['body']>) => (data: unknown) => {
  const read = schema.safeParse(data);
  if (read.success) return { value: read.data };
  const mistakes = read.error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? `${issue.keys.join(', ')}: unknown; known here: ${Object.keys(schema.shape).join(', ')}`
      : [...issue.path, issue.message].join(': '),
  );
  return { error: Object.assign(new Error(mistakes.join('; ')), { statusCode: 400 }) };
};
