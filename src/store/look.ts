/** What a database of PostgreSQL says of itself, for who looks whether a gate can work with it. Nothing is changed. */
import { sql } from 'kysely';
import type { StoreAt } from './open.ts';
import { connectPostgres, explainPostgres } from './postgres.ts';

export interface PostgresLook {
  /** What it is called in messages. */
  readonly name: string;
  readonly version: string;
  readonly user: string;
  readonly schema: string;
  /** Whether the user may make tables, and, where there are some, write to them. */
  readonly mayMake: boolean;
  readonly mayWrite: boolean;
  /** Whether there are tables. */
  readonly isStore: boolean;
  /** Who holds the lease; null: nobody. */
  readonly holder: string | null;
  /** How long ago that one's lease has ended, by the database's clock, ms; negative: it goes on. */
  readonly endedFor: number;
}

/** @throws StoreError where it cannot be reached, or is none that can be used */
export async function lookAtPostgres({ url, password_file }: StoreAt): Promise<PostgresLook> {
  try {
    const { db, name, schema = '', close } = await connectPostgres(url, 'look', password_file);
    try {
      const { rows } = await sql<{
        version: string;
        user: string;
        make: number;
        tables: number;
        write: number | null;
      }>`SELECT current_setting('server_version') AS version, current_user AS "user",
        has_schema_privilege(${schema}::text, 'CREATE') AS make, to_regclass('lease') IS NOT NULL AS tables,
        has_table_privilege(to_regclass('journal'), 'INSERT') AND has_table_privilege(to_regclass('lease'), 'UPDATE')
          AS write`.execute(db);
      const [found] = rows;
      if (!found) throw new Error('no answer');
      const isStore = found.tables === 1;
      const mayWrite = !isStore || found.write === 1;
      const lease =
        isStore && mayWrite
          ? await sql<{ holder: string; ended: number }>`SELECT holder,
            (extract(epoch FROM clock_timestamp()) * 1000)::bigint - ends_at AS ended FROM lease`.execute(db)
          : undefined;
      const [held] = lease?.rows ?? [];
      return {
        ...{ name, schema, isStore, version: found.version, user: found.user },
        mayMake: found.make === 1,
        mayWrite,
        holder: held?.holder || null,
        endedFor: held?.ended ?? 0,
      };
    } finally {
      await close();
    }
  } catch (error) {
    throw explainPostgres(url, error);
  }
}
