/** `run --once` before a store on PostgreSQL: it follows a gate that died, and leaves one that acts alone. */
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningGate, startGate } from '../../src/commands/gate.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';
import { type Place, POSTGRES, postgres } from '../store/places.ts';

describe.runIf(await postgres())('a gate that sweeps once, on PostgreSQL', () => {
  let place: Place;
  let server: WorldServer;
  const gates: RunningGate[] = [];
  beforeEach(async () => {
    place = await POSTGRES.make();
    server = await serveWorld(createWorld(loadScenario(SMALL)));
    await (await openStore(place.url, { mode: 'write', hub: server.url })).close();
  });
  afterEach(async () => {
    for (const gate of gates.splice(0)) await gate.stop();
    await server.close();
    await place.drop();
  });
  async function start(once: boolean): Promise<RunningGate> {
    const login = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
    const gate = await startGate(
      {
        koji: { server: server.url, ...login, timeout: 5_000 },
        store: { url: place.url },
        sweep: { every: 3_600_000, poll: 3_600_000, settle: 1_000 },
        gates: [GATE],
      },
      { log: pino({ level: 'silent' }), once },
    );
    gates.push(gate);
    return gate;
  }
  const token = async () => Number((await place.ask('SELECT token FROM lease'))[0]?.['token']);

  test('takes the lease of one that was killed with it', async () => {
    await place.ask("UPDATE lease SET token = 7, holder = 'gone.example.org', ends_at = 0");
    await (await start(true)).over;
    expect(await token()).toBeGreaterThan(7);
  });
  test('says who acts, where somebody does, and does nothing', async () => {
    await start(false);
    const before = await token();
    await expect(start(true)).rejects.toThrow('another kmod-gate acts on this store: ');
    expect(await token()).toBe(before);
  });
});
