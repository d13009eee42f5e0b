/** What tags held at a time, by their history, beside what the hub said at that time. */
import { afterEach, expect, test } from 'vitest';
import { connectHub } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import { heldNow, type TagsHeld } from '../../src/reconciler/choose.ts';
import { heldAt, readPast } from '../../src/reconciler/past.ts';
import { BY_SYMBOLS, happen, withPast } from '../commands/past.ts';
import { type Stage, setStage } from '../scenarios/stage.ts';

let stage: Stage;
let hub: Hub;
afterEach(async () => {
  await hub.close();
  await stage.end();
});

test('is told afterwards as it was told then', async () => {
  stage = await setStage({ scenario: withPast, gate: { ...BY_SYMBOLS, mode: 'observe' } });
  hub = connectHub({ server: stage.server.url, authtype: 'noauth', timeout: 5_000 });
  const { gate, world } = stage;
  const toldBy = async ({ kmods, shipped, tagsOf }: TagsHeld) => {
    const builds = world.state.builds.filter(({ name }) => name === 'kernel').map(({ id }) => id);
    const stays = (await shipped('kernel')).toSorted((a, b) => a.create_event - b.create_event);
    return {
      kmods: (await kmods()).map(({ nvr }) => nvr).toSorted(),
      shipped: stays.map(({ build_id, active, revoke_event, revoke_ts, revoker_name }) => [
        ...[build_id, active, revoke_event],
        ...[revoke_ts, revoker_name],
      ]),
      tags: (await tagsOf(builds.slice(0, 2))).map((names) => names.toSorted()),
    };
  };
  const then: { event: number; told: Awaited<ReturnType<typeof toldBy>> }[] = [];
  await happen(stage, async () => {
    then.push({ event: world.state.events.length, told: await toldBy(heldNow({ hub }, gate)) });
  });
  expect(then).toHaveLength(5);
  const past = await readPast(hub, gate);
  for (const { event, told } of then) expect(await toldBy(heldAt(hub, gate, past, event))).toEqual(told);
});
