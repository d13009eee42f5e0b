/**
 * Several processes of the built program on one PostgreSQL and one Koji in memory. Each reaches the hub by a door of its own
 * and the database by a wire of its own, so that it is known who asked what, and one can be cut off. A trigger notes every
 * change of the lease by the clock of the machine, which all of them share.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { loadScenario, type Scenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openProxy, type TcpProxy } from '../bus/helpers.ts';
import { fileOf, gateConfig, type Program, runProgram, start } from '../commands/program.ts';
import { type Place, POSTGRES, POSTGRES_URL } from '../store/places.ts';

/** Calls that change something on the hub. */
const ACTS = new Set([
  'build',
  'tagBuild',
  'untagBuild',
  'repo.request',
  'createSideTag',
  'removeSideTag',
  'cancelTask',
]);
/** The hub's clock runs so much faster. */
const SPEED = 60;
const TICK = 20;
/** Nobody is there: each goes by its door. */
const HUB = 'http://localhost:9/kojihub';

/** Something that a replica asked of the hub. */
export interface Act {
  readonly replica: number;
  readonly what: string;
  /** When it arrived, ms since the epoch. */
  readonly at: number;
}

/** A change of the lease. */
interface Change {
  readonly at: number;
  readonly token: number;
  readonly holder: string;
  readonly ends_at: number;
}

export interface Replica {
  readonly number: number;
  readonly program: () => Program;
  /** What it calls itself in the lease. */
  name(): string;
  launch(): void;
  kill(signal: NodeJS.Signals): void;
  /** Cut it off from the database, and let it there again. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Its page `/readyz`, and others; undefined while it does not answer. */
  ask(path: string): Promise<Record<string, unknown> | undefined>;
  /** Say something by its API. */
  say(path: string, word: object): Promise<Record<string, unknown>>;
}

export interface Stage {
  readonly world: World;
  readonly place: Place;
  readonly replicas: readonly Replica[];
  readonly acts: readonly Act[];
  /** The replica whose running process holds the lease; undefined: none does. */
  holder(): Promise<Replica | undefined>;
  /** The same, with the token of that moment. */
  holding(): Promise<{ readonly replica: Replica; readonly token: number } | undefined>;
  token(): Promise<number>;
  /** What was done against the rules, in words. */
  violations(): Promise<string[]>;
  close(): Promise<void>;
}

/** Kernels that are still to come, one after the other: all that the scenario's is, but for the name. */
export const KERNELS = Array.from({ length: 4 }, (_, i) => `kernel-6.1.176-${50 + i}.el9`);

function severalKernels(): Scenario {
  const scenario = loadScenario(fileOf('test/sim/small.toml'));
  const next = scenario.kernels.find(({ nvr }) => nvr === KERNELS[0]);
  if (!next) throw new Error(`no ${KERNELS[0]} in the scenario`);
  const others = KERNELS.slice(1).map((nvr) => ({ ...next, nvr, release: nvr.split('-').at(-1) ?? '' }));
  return { ...scenario, kernels: [...scenario.kernels, ...others] };
}

export async function openStage(count: number): Promise<Stage> {
  const place = await POSTGRES.make();
  const world = createWorld(severalKernels());
  const clock = setInterval(() => world.tick(TICK * SPEED), TICK);
  const database = new pg.Client({ connectionString: place.url });
  await database.connect();
  const acts: Act[] = [];
  const doors: WorldServer[] = [];
  const wires: TcpProxy[] = [];
  const replicas: Replica[] = [];
  const names = new Map<string, number>();
  const tokens = join(place.folder, 'tokens');
  const token = (await runProgram('token', 'new', 'ada', '--file', tokens)).stdout.trim();
  const { hostname, port } = new URL(POSTGRES_URL);
  const server = { host: hostname, port: Number(port || 5432) };

  for (let number = 0; number < count; number += 1) {
    const door: WorldServer = await serveWorld(world, {
      faults(method) {
        const { inner = [] } = door.requests.at(-1) ?? {};
        for (const what of [method, ...inner])
          if (ACTS.has(what)) acts.push({ replica: number, what, at: Date.now() });
        return 'none';
      },
    });
    doors.push(door);
    wires.push(await openProxy(server));
    replicas.push(replicaOf(number, door));
  }

  function replicaOf(number: number, door: WorldServer): Replica {
    const folder = place.folder;
    const wire = () => wires[number] as TcpProxy;
    const url = new URL(place.url);
    url.host = `127.0.0.1:${wire().port}`;
    const config = join(folder, `${number}.toml`);
    writeFileSync(
      config,
      `${gateConfig(HUB, folder).replace(/^url = .*$/m, `url = "${url.href}"`)}
[http]
listen = "127.0.0.1:0"
tokens = "${tokens}"
`,
    );
    let program: Program;
    let page: string | undefined;
    const self: Replica = {
      number,
      program: () => program,
      name: () => `${process.env['HOSTNAME'] ?? ''}:${program.child.pid}`,
      launch() {
        page = undefined;
        program = start(['run', '--config', config], {
          env: { http_proxy: new URL(door.url).origin, no_proxy: '' },
        });
        names.set(String(program.child.pid), number);
        program.child.stdout?.on('data', (chunk) => {
          page = /(http:\/\/127\.0\.0\.1:\d+)/.exec(String(chunk))?.[1] ?? page;
        });
      },
      kill: (signal) => void program.child.kill(signal),
      async cut() {
        wire().silence();
        await wire().close();
      },
      async mend() {
        wires[number] = await openProxy(server, wire().port);
      },
      async ask(path) {
        const answer = page && (await fetch(`${page}${path}`).catch(() => undefined));
        return answer ? ((await answer.json()) as Record<string, unknown>) : undefined;
      },
      async say(path, word) {
        const answer = await fetch(`${page}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: JSON.stringify(word),
        });
        return (await answer.json()) as Record<string, unknown>;
      },
    };
    return self;
  }

  /** The trigger can be there once the table is. */
  async function listen(): Promise<void> {
    await database.query(`
      CREATE TABLE lease_log (at bigint, token bigint, holder text, ends_at bigint);
      CREATE FUNCTION note_lease() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO lease_log VALUES (extract(epoch FROM clock_timestamp()) * 1000, NEW.token, NEW.holder, NEW.ends_at);
        RETURN NEW; END $$;
      CREATE TRIGGER lease_noted AFTER INSERT OR UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION note_lease();
      INSERT INTO lease_log SELECT 0, token, holder, ends_at FROM lease`);
  }
  const { openStore } = await import('../../src/store/open.ts');
  await (await openStore(place.url, { mode: 'write' })).close();
  await listen();
  for (const replica of replicas) replica.launch();

  async function holding() {
    const { rows } = await database.query('SELECT holder, token FROM lease');
    const { holder = '', token } = rows[0] ?? {};
    const replica = replicas[replicaNamed(holder) ?? -1];
    // The process that has it may be dead, and another one in its place.
    const lives = replica && holder.endsWith(`:${replica.program().child.pid}`);
    return lives ? { replica, token: Number(token) } : undefined;
  }
  const replicaNamed = (holder: string) => names.get(holder.split(':').at(-1) ?? '');
  return {
    ...{ world, place, replicas, acts },
    holding,
    holder: async () => (await holding())?.replica,
    async token() {
      const { rows } = await database.query(`SELECT token FROM lease WHERE holder <> ''`);
      return Number(rows[0]?.token ?? 0);
    },
    async violations() {
      const { rows } = await database.query('SELECT * FROM lease_log ORDER BY at');
      const changes: Change[] = rows.map(({ at, token, holder, ends_at }) => ({
        ...{ at: Number(at), token: Number(token), ends_at: Number(ends_at), holder },
      }));
      return [...withoutLease(acts, changes, replicaNamed), ...twice(world)];
    },
    async close() {
      clearInterval(clock);
      for (const { program } of replicas) {
        program().child.kill('SIGKILL');
        await program().ended;
      }
      for (const door of doors) await door.close();
      for (const wire of wires) await wire.close();
      await database.end();
      await place.drop();
    },
  };
}

/** By what two clocks of one machine may seem to differ, in ms. */
const BLUR = 2;

/** Acts of a replica at a moment at which the lease was another's, or had ended. */
function withoutLease(
  acts: readonly Act[],
  changes: readonly Change[],
  replicaNamed: (holder: string) => number | undefined,
): string[] {
  return acts.flatMap(({ replica, what, at }) => {
    const held = [at - BLUR, at + BLUR].map((moment) => changes.findLast((change) => change.at <= moment));
    const fine = held.some((one) => one && replicaNamed(one.holder) === replica && at <= one.ends_at + BLUR);
    const [now] = held;
    return fine ? [] : [`replica ${replica}: ${what} at ${at}, while the lease was ${JSON.stringify(now)}`];
  });
}

/** What the hub was asked for twice: builds have marks, and a kernel goes once into a tag. */
function twice(world: World): string[] {
  const counts = new Map<string, number>();
  for (const task of world.tasks()) {
    const key = keyOf(task);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].flatMap(([what, count]) => (count > 1 ? [`${count} times: ${what}`] : []));
}

function keyOf({ method, parent, request }: ReturnType<World['tasks']>[number]): string | undefined {
  if (parent) return undefined;
  const text = JSON.stringify(request);
  if (method === 'tagBuild') return `tagBuild ${text}`;
  return method === 'build' ? `build ${/"attempt":"([^"]+)"/.exec(text)?.[1] ?? text}` : undefined;
}
