/** The file of a store as it lies there: whether it is sound, and every fact in it, read apart from the code that wrote it. */
import { existsSync } from 'node:fs';
import Database from 'libsql';
import type { Entry } from '../../src/core/model.ts';

/** What one look at a file saw. */
export interface Look {
  /** Every row of every table of facts, each with the name of its table. */
  readonly facts: ReadonlySet<string>;
  /** In the order in which it was recorded. */
  readonly journal: readonly Entry[];
  /** What SQLite finds wrong with the file. */
  readonly damage: readonly string[];
}

/** Tables of which rows are replaced: the bus's newest message, and what the store, SQLite and kysely count and lock with. */
const NO_FACTS = ['heard', 'sequence', 'sqlite_sequence', 'kysely_migration_lock'];

/** Columns that are no facts: marks that follow from them, and when something was used last. */
const MARKS = ['live', 'passed', 'unexplained', 'pruned_at', 'used_at'];

/** Look at a store's file. Undefined where there is no store yet, since the first start came no further. */
export function lookAt(file: string): Look | undefined {
  if (!existsSync(file)) return undefined;
  const database = new Database(file);
  const rows = <T>(query: string) => database.prepare(query).all() as T[];
  try {
    const damage = [
      ...rows<{ integrity_check: string }>('PRAGMA integrity_check').map((row) => row.integrity_check),
      ...rows('PRAGMA foreign_key_check').map((row) => `foreign key: ${JSON.stringify(row)}`),
    ].filter((line) => line !== 'ok');
    const tables = rows<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .map(({ name }) => name)
      .filter((name) => !NO_FACTS.includes(name));
    if (tables.length === 0 && damage.length === 0) return undefined;
    const facts = tables.flatMap((table) =>
      rows<object>(`SELECT * FROM "${table}"`).map((row) => {
        const facts = Object.entries(row).filter(([column]) => !MARKS.includes(column));
        return `${table} ${JSON.stringify(Object.fromEntries(facts))}`;
      }),
    );
    // Killed between two tables, a process leaves what no later one can go on from.
    if (!tables.includes('journal'))
      return { facts: new Set(facts), journal: [], damage: [...damage, `it has no more than ${tables}`] };
    const journal = rows<Entry>(
      `SELECT at, kind, gate, build_id AS build, nvr, run_id AS run, text
       FROM journal JOIN kernel_build ON kernel_build.id = build_id ORDER BY seq`,
    );
    return { facts: new Set(facts), journal, damage };
  } finally {
    database.close();
  }
}

/** What is damaged, and what an earlier look saw and is there no more: nothing may ever go. */
export function lostSince(before: Look | undefined, now: Look | undefined): string[] {
  if (!now) return before ? ['the store is gone'] : [];
  const gone = [...(before?.facts ?? [])].filter((fact) => !now.facts.has(fact));
  const told = before?.journal.find((entry, i) => JSON.stringify(entry) !== JSON.stringify(now.journal[i]));
  return [
    ...now.damage.map((what) => `the store is damaged: ${what}`),
    ...gone.map((fact) => `lost: ${fact}`),
    ...(told ? [`the journal goes another way than it did: ${told.text}`] : []),
  ];
}

/** Lines that a process has printed for people and that the journal does not have. */
export function unrecorded(printed: string, journal: readonly Entry[]): string[] {
  const recorded = new Set(
    journal.map(({ gate, nvr, text }) => (gate ? `${gate}  ${nvr}  ${text}` : text).split('\n')[0]),
  );
  return printed
    .split('\n')
    .slice(0, -1)
    .flatMap((line) => /^\d\d:\d\d:\d\d {2}(.*)$/.exec(line)?.[1] ?? [])
    .filter((line) => !recorded.has(line));
}
