/** A real gate, with pages and a bus, before a Koji in memory whose time flies. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { localBus } from '../../src/bus/local.ts';
import type { BusMessage } from '../../src/bus/message.ts';
import { type RunningGate, startGate } from '../../src/commands/gate.ts';
import type { Config } from '../../src/config/config.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { GATE, SMALL } from '../scenarios/stage.ts';

export interface LiveGate {
  readonly gate: RunningGate;
  readonly world: World;
  /** What the gate hears on the bus. */
  publish(message: BusMessage): Promise<void>;
  get(path: string): Promise<Response>;
  /** By name with its labels, as a scrape has them. */
  metrics(): Promise<Map<string, number>>;
}

/** Real time between two looks at the Koji's clock, and how far that has gone by then; ms. */
const TICK = 10;
const FLIES = 5_000;

export async function liveGate(
  change: Partial<Omit<Config, 'koji'>> & { readonly koji?: Partial<Config['koji']> } = {},
): Promise<LiveGate> {
  const world = createWorld(loadScenario(SMALL), { now: Date.now() });
  const server = await serveWorld(world);
  const bus = localBus();
  const log = pino({ level: 'silent' });
  world.onMessage((event) => {
    const message = busMessage(event, { family: 'fedora' });
    if (message) void bus.publish(message);
  });
  const clock = setInterval(() => world.tick(FLIES), TICK);
  const { koji, ...rest } = change;
  const login = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;
  const gate = await startGate(
    {
      koji: { server: server.url, ...login, timeout: 5_000, ...koji },
      store: { url: 'sqlite::memory:' },
      http: { host: '127.0.0.1', port: 0 },
      sweep: { every: 60_000, poll: 50, settle: 1_000 },
      gates: [GATE],
      ...rest,
    },
    { log, version: '1.2.3-test', subscribe: (onHint) => bus.consume(onHint, log) },
  );
  onTestFinished(async () => {
    clearInterval(clock);
    await gate.stop();
    await server.close();
  });
  const get = (path: string) => fetch(`${gate.url}${path}`);
  return {
    ...{ gate, world, get, publish: bus.publish },
    metrics: async () => valuesOf(await (await get('/metrics')).text()),
  };
}

/** The values of a text in Prometheus' format. */
export function valuesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}
