/** What is known of a WaiverDB: which of its records are waivers here, and what was sent to it. */
import type { Base } from './record.ts';
import type { Post, RecordThere, Store } from './store.ts';

export function waiverDbFacts({ db }: Base) {
  return {
    async recordsThere() {
      const rows = await db.selectFrom('waiver_there').selectAll().orderBy('there').execute();
      return rows.map(({ waiver_id: waiver, kind, ...row }) => ({
        ...{ ...row, waiver },
        kind: kind as RecordThere['kind'],
      }));
    },
    async noteThere({ source, there, waiver, kind }) {
      await db.insertInto('waiver_there').values({ source, there, waiver_id: waiver, kind }).execute();
    },
    async posts() {
      const rows = await db.selectFrom('waiver_post').selectAll().execute();
      return rows.map(({ waiver_id: waiver, kind, ...row }) => ({
        ...{ ...row, waiver },
        kind: kind as Post['kind'],
      }));
    },
    async notePost({ source, waiver, kind, at }) {
      await db
        .insertInto('waiver_post')
        .values({ source, waiver_id: waiver, kind, at })
        .onConflict((conflict) => conflict.columns(['source', 'waiver_id', 'kind']).doUpdateSet({ at }))
        .execute();
    },
  } satisfies Partial<Store>;
}
