/** Holds answers and requests against the API's description, as another program would. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}

interface Operation {
  readonly requestBody?: WithContent;
  readonly responses: Readonly<Record<string, WithContent>>;
}

interface WithContent {
  readonly content: { readonly 'application/json': { readonly schema: object } };
}

/**
 * @returns checks the answer with a status, or the body of a request: `fits`, or what does not. What the description does not
 * know of an object fits no answer here, although readers should pass over it: nothing is to be forgotten in the description
 */
export function validatorOf(description: Described) {
  const { paths, components } = structuredClone(description);
  closeObjects(components);
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: 'api', components });
  const known = new Map<object, ValidateFunction>();
  return (method: string, path: string, of: number | 'body', data: unknown): string => {
    const operation = paths[path]?.[method];
    const part = of === 'body' ? operation?.requestBody : operation?.responses[of];
    if (!part) return `${method} ${path}: ${of} is not described`;
    const { schema } = part.content['application/json'];
    const text = JSON.stringify(schema).replaceAll('"#/components', '"api#/components');
    const check = known.get(schema) ?? ajv.compile(JSON.parse(text));
    known.set(schema, check);
    return check(data) ? 'fits' : ajv.errorsText(check.errors);
  };
}

function closeObjects(schema: unknown): void {
  if (typeof schema !== 'object' || schema === null) return;
  if ('properties' in schema && !('additionalProperties' in schema))
    Object.assign(schema, { additionalProperties: false });
  for (const value of Object.values(schema)) closeObjects(value);
}
