/** The real program, killed a few times at each `npm test`; `npm run sim:kill` kills it a hundred times. */
import Database from 'libsql';
import { expect, test } from 'vitest';
import { playKills } from './rounds.ts';

test('no promise is broken by kill -9', { timeout: 120_000 }, async () => {
  const { rounds, requests, violations } = await playKills({ seed: '14', rounds: 3 });
  expect(violations).toEqual([]);
  expect(rounds).toBe(3);
  expect(requests).toBeGreaterThan(0);
});

test('a fact that is gone between two starts is seen', { timeout: 120_000 }, async () => {
  let gone = 0;
  const plant = (file: string) => {
    if (gone > 0) return;
    const database = new Database(file);
    gone = database.prepare('DELETE FROM journal WHERE seq = 1').run().changes;
    database.close();
  };
  const { violations } = await playKills({ seed: '14', rounds: 10, plant });
  expect(violations[0]).toMatch(/^8: lost: journal \{"seq":1,/);
});
