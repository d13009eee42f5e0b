/** The description of the API in OpenAPI 3.1, made of the routes and of the schemas that they check by. */
import { z } from 'zod';
import { named } from './reportschemas.ts';
import { PREFIX, ROUTES, type Route, refusal } from './routes.ts';

/** A JSON Schema, or the description itself. */
export type Json = { [key: string]: unknown };

/** The empty one: without a token, where reading is open to all. */
const READING = [{}, { token: [] }, { password: [] }];
/** What may be answered to any request. */
const ANYWHERE = {
  401: 'A token is wanted, or nobody has this one',
  429: 'Too often, or too many wrong tokens; see Retry-After',
  500: "Trouble of the gate's own, which its log tells",
  503: 'The file of tokens cannot be used now',
};

/** @param version of kmod-gate */
export function describeApi(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) {
    const path = `${PREFIX}${route.path.replace(/:(\w+)/g, '{$1}')}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'kmod-gate',
      version,
      description:
        'What a gate knows, and what people say to it. Times are milliseconds since the epoch. Fields may come: pass over those that you do not know.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Wherever the description itself was read from.
    servers: [{ url: '../..' }],
    paths: { ...paths, [`${PREFIX}/openapi.json`]: { get: ownOperation() } },
    components: {
      schemas: componentSchemas(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'As "kmod-gate token new" makes it' },
        password: {
          type: 'http',
          scheme: 'basic',
          description: 'The token as the password, with any user: for reading alone, and for browsers',
        },
      },
    },
  };
}

const ownOperation = (): Json => ({
  operationId: 'openapi',
  summary: 'This description',
  security: READING,
  responses: {
    200: { description: 'It', content: { 'application/json': { schema: { type: 'object' } } } },
    ...refusalsOf(ANYWHERE),
  },
});

function operationOf({ method, name, summary, params, query, body, answer, refusals = {} }: Route): Json {
  const writes = method === 'POST';
  const parameters = [...parametersOf('path', params), ...parametersOf('query', query)];
  return {
    operationId: name,
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } },
    }),
    security: writes ? [{ token: [] }] : READING,
    responses: {
      200: {
        description: writes ? 'It is said' : 'As the gate knows it',
        content: { 'application/json': { schema: schemaOf(answer, 'output') } },
      },
      ...refusalsOf({
        ...ANYWHERE,
        400: 'The request is not as described here',
        ...(writes && {
          403: 'The token is for reading alone, the gate has no tokens, or another site asks',
          413: 'The body is too long',
          415: 'The body is no application/json',
          422: 'It cannot be meant: no such kernel, nothing to release, and so on',
        }),
        ...refusals,
      }),
    },
  };
}

const refusalsOf = (refusals: Readonly<Record<string, string>>): Json =>
  Object.fromEntries(
    Object.entries(refusals).map(([status, description]) => [
      status,
      { description, content: { 'application/json': { schema: schemaOf(refusal, 'output') } } },
    ]),
  );

function parametersOf(place: 'path' | 'query', schema: z.ZodObject | undefined): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...of }]) => ({
    ...{ name, in: place, required: required.includes(name) },
    ...(description !== undefined && { description }),
    schema: of,
  }));
}

/** A schema as it stands in a route; one with a name is only named. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const known = named.get(schema);
  if (known) return { $ref: refOf(known.id) };
  return plain(z.toJSONSchema(schema, { target: 'draft-2020-12', io, override: OVERRIDE[io] }));
}

const refOf = (id: string): string => `#/components/schemas/${id}`;

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(named, {
    ...{ target: 'draft-2020-12', io: 'output', uri: refOf, override: OVERRIDE.output },
  });
  const all = Object.entries(schemas).map(([id, schema]) => [id, plain(schema)]);
  return Object.fromEntries(all);
}

/** What a request says is known; to an answer fields may come. */
const OVERRIDE = {
  input: () => {},
  output: ({ jsonSchema }: { jsonSchema: Json }) => {
    if (jsonSchema['additionalProperties'] === false) delete jsonSchema['additionalProperties'];
  },
};

const plain = ({ $schema: _, $id: __, id: ___, ...schema }: Json): Json => schema;
