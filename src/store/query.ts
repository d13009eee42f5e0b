/** Queries that are asked again and again: kysely puts each into words once. */
import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Tables } from './schema.ts';

/** Stands in a query where a value is to come. */
class Blank {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Has a blank of every name. */
const blanks = new Proxy({}, { get: (_, name) => new Blank(String(name)) });

/**
 * A query that is the same each time but for its values.
 * @param build is called once, with blanks: it may only hand them on to where kysely takes a value
 * @returns asks it, within a transaction where one is given
 */
export function query<Values extends object, Row>(
  db: Kysely<Tables>,
  build: (values: Values) => Compilable<Row>,
): (values: Values, within?: Kysely<Tables>) => Promise<Row[]> {
  let compiled: CompiledQuery<Row> | undefined;
  return async (values, within = db) => {
    compiled ??= build(blanks as Values).compile();
    const parameters = compiled.parameters.map((parameter) =>
      parameter instanceof Blank ? values[parameter.name as keyof Values] : parameter,
    );
    const { rows } = await within.executeQuery<Row>({ ...compiled, parameters });
    return rows;
  };
}
