/** Where stores of tests are: in a file of SQLite, and in a schema of PostgreSQL that is dropped afterwards. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import pg from 'pg';
import { messageOf } from '../../src/bus/intake.ts';

/** A database in which tests may make and drop schemas. */
export const POSTGRES_URL = process.env['POSTGRES_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres';

/** Room for one store. */
export interface Place {
  readonly url: string;
  /** A folder of its own, whatever the store is in. */
  readonly folder: string;
  /** Ask the database itself, as no store of ours would. */
  ask(sql: string): Promise<Record<string, unknown>[]>;
  drop(): Promise<void>;
}

export interface Kind {
  readonly name: 'SQLite' | 'PostgreSQL';
  make(): Promise<Place>;
}

const newFolder = () => mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));

export const SQLITE: Kind = {
  name: 'SQLite',
  async make() {
    const folder = newFolder();
    const file = join(folder, 'gate.db');
    return {
      folder,
      url: `sqlite:${file}`,
      async ask(sql) {
        const database = new Database(file);
        try {
          return database.prepare(sql).all() as Record<string, unknown>[];
        } finally {
          database.close();
        }
      },
      async drop() {
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

export const POSTGRES: Kind = {
  name: 'PostgreSQL',
  async make() {
    const folder = newFolder();
    const schema = `test_${randomBytes(6).toString('hex')}`;
    await ask(POSTGRES_URL, `CREATE SCHEMA ${schema}`);
    const url = `${POSTGRES_URL}?options=${encodeURIComponent(`-c search_path=${schema} -c synchronous_commit=off`)}`;
    return {
      ...{ folder, url },
      ask: (sql) => ask(url, sql),
      async drop() {
        rmSync(folder, { recursive: true, force: true });
        await ask(POSTGRES_URL, `DROP SCHEMA ${schema} CASCADE`);
      },
    };
  },
};

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Whether PostgreSQL answers at POSTGRES_URL. With REQUIRE_SERVICES=1 a silent one throws. */
export async function postgres(): Promise<boolean> {
  try {
    await ask(POSTGRES_URL, 'SELECT 1');
    return true;
  } catch (error) {
    const where = `PostgreSQL is not reachable at ${new URL(POSTGRES_URL).host} (${messageOf(error)})`;
    if (process.env['REQUIRE_SERVICES'] === '1')
      throw new Error(`${where}, and REQUIRE_SERVICES=1 demands it`);
    process.stderr.write(`SKIPPED: ${where}. Start it, or set POSTGRES_URL.\n`);
    return false;
  }
}

/** All kinds that can be had here. */
export const kinds = async (): Promise<Kind[]> => [SQLITE, ...((await postgres()) ? [POSTGRES] : [])];
