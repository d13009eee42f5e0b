/**
 * `npm run bench:run`: what a whole run costs the hub, and how long after the last build's end the hub is asked to tag. The hub
 * is the one in memory, behind HTTP that takes its time; the world's clock is played, that of the delays is this machine's. Beside
 * it, a loop as people write it around Koji's command line: one call for each thing, and a look at each task every six seconds.
 */
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { decode } from '../../src/bus/decode.ts';
import type { Gate } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import * as koji from '../../src/koji/calls.ts';
import { connectHub } from '../../src/koji/client.ts';
import type { Hub } from '../../src/koji/hub.ts';
import { createReconciler } from '../../src/reconciler/reconciler.ts';
import { busMessage } from '../../src/sim/messages.ts';
import { loadScenario, type Scenario, splitNvr } from '../../src/sim/scenario.ts';
import { serveWorld } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { openStore } from '../../src/store/open.ts';

const ARCHES = ['x86_64', 'aarch64', 'ppc64le', 's390x'];
const NEW = 'kernel-6.1.176-50.el9';
const SECOND = 1_000;

const gateOf = (max_active: number): Gate => ({
  name: 'c9s',
  kernels: ['kernel'],
  watch: 'c9s-gate',
  mode: 'enforce',
  strategy: 'rebuild',
  variant: '',
  stablelist: null,
  kmods: { tag: 'kmods9s-release', include: ['kmod-*'], exclude: ['kmod-gamma'], advisory: [], arches: {} },
  arches: null,
  baseline: null,
  rebuild: null,
  policy: DEFAULT_POLICY,
  build: { target: 'kmods9s-gate', repo: 'wait', priority: 5, max_active },
  on_pass: { tag: ['c9s-candidate'], untag: ['c9s-gate'] },
  on_fail: { tag: ['c9s-blocked'], untag: ['c9s-gate'] },
});

/** A world of so many kmods that all build, none as long as another. */
function scenarioOf(kmods: number): Scenario {
  const small = loadScenario(new URL('../../../../test/sim/small.toml', import.meta.url).pathname);
  const [model] = small.kmods;
  if (!model) throw new Error('no kmod in small.toml');
  return {
    ...small,
    arches: ARCHES,
    builders: 10 * kmods,
    rules: [],
    tags: small.tags
      .map((tag) => (tag.arches.length > 0 ? { ...tag, arches: ARCHES } : tag))
      .map((tag) => ({
        ...tag,
        packages: [...tag.packages, ...Array.from({ length: kmods }, (_, i) => nameOf(i))],
      })),
    kmods: Array.from({ length: kmods }, (_, i) => ({
      ...model,
      ...splitNvr(`${nameOf(i)}-1.0-1.el9`),
      build_time: (60 + i) * SECOND,
    })),
  };
}
const nameOf = (i: number): string => `kmod-${String(i).padStart(4, '0')}`;

/** What a hub has been asked. */
interface Asked {
  requests: number;
  calls: number;
  bytes: number;
  readonly methods: Map<string, number>;
  /** When a tag was asked for, by this machine's clock in ms. */
  tagAt: number | undefined;
}

/** The world's hub behind a line on which each request takes so many ms. */
async function serve(world: World, latency: number) {
  const asked: Asked = { requests: 0, calls: 0, bytes: 0, methods: new Map(), tagAt: undefined };
  const hub = await serveWorld(world, {
    faults(method) {
      asked.requests += 1;
      const { inner = [] } = hub.requests.at(-1) ?? {};
      asked.calls += Math.max(1, inner.length);
      for (const name of inner.length > 0 ? inner : [method])
        asked.methods.set(name, (asked.methods.get(name) ?? 0) + 1);
      if (method === 'tagBuild') asked.tagAt ??= performance.now();
      return 'none';
    },
  });
  const agent = new Agent({ keepAlive: true });
  const line = createServer((from, to) => {
    const chunks: Buffer[] = [];
    from.on('data', (chunk: Buffer) => chunks.push(chunk));
    from.on('end', () => {
      const body = Buffer.concat(chunks);
      asked.bytes += body.length;
      setTimeout(() => {
        const { method, headers, url } = from;
        const onward = request(new URL(url ?? '/', hub.url), { method, headers, agent }, (answer) => {
          to.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.on('data', (chunk: Buffer) => {
            asked.bytes += chunk.length;
          });
          answer.pipe(to);
        });
        onward.end(body);
      }, latency);
    });
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const { port } = line.address() as AddressInfo;
  return {
    asked,
    url: `http://127.0.0.1:${port}/kojihub`,
    async close() {
      agent.destroy();
      line.closeAllConnections();
      line.close();
      await hub.close();
    },
  };
}

const account = { authtype: 'password', user: 'kmod-gate', password: 'gate-password' } as const;

interface Cost extends Pick<Asked, 'requests' | 'calls' | 'bytes' | 'methods'> {
  /** From the end of the last build to the request that tags, in ms, while the world's clock stands still. */
  readonly delay: number;
  /** And what of the world's time went by meanwhile, in ms: until it was looked. */
  readonly waited: number;
}

/** Play a run; `work` is asked whenever time has passed. */
async function play(
  kmods: number,
  latency: number,
  begin: (world: World, hub: Hub) => Promise<() => Promise<void>>,
): Promise<Cost> {
  const world = createWorld(scenarioOf(kmods));
  const served = await serve(world, latency);
  const hub = connectHub({ server: served.url, ...account, timeout: 60 * SECOND, random: () => 0.5 });
  const work = await begin(world, hub);
  world.completeKernel(NEW, { tag: 'c9s-gate' });
  const builds = () =>
    world
      .tasks()
      .filter(({ method, request }) => method === 'build' && String(request[0]).startsWith('../packages/'));
  let [ended, endedAt] = [0, 0];
  let [before, built] = [0, 0];
  for (let i = 0; i < 10_000 && served.asked.tagAt === undefined; i++) {
    world.tick(SECOND);
    const now = builds().filter(({ completion }) => completion === null).length;
    built = builds().length;
    if (before > 0 && now === 0 && built === kmods) [ended, endedAt] = [performance.now(), world.now()];
    before = now;
    await work();
  }
  const { tagAt } = served.asked;
  if (tagAt === undefined || ended === 0) throw new Error('it is not decided');
  const cost = { ...served.asked, delay: tagAt - ended, waited: world.now() - endedAt };
  for (let i = 0; i < 60; i++) {
    world.tick(SECOND);
    await work();
  }
  const { requests, calls, bytes } = served.asked;
  await hub.close();
  await served.close();
  return { ...cost, requests, calls, bytes };
}

/** The gate; without messages it only sweeps and polls. */
const byGate = (kmods: number) => async (world: World, hub: Hub) => {
  const store = await openStore('sqlite::memory:', { mode: 'write' });
  const reconciler = createReconciler({
    ...{ gates: [gateOf(kmods)], hub, store, now: world.now, random: () => 0.5 },
    pace: { every: 300 * SECOND, poll: 30 * SECOND, settle: 10 * SECOND },
    log: pino({ level: 'silent' }),
  });
  world.onMessage((event) => {
    const message = busMessage(event, { family: 'fedora' });
    const decoded = message && decode(message);
    if (decoded?.kind === 'hints') for (const hint of decoded.hints) reconciler.hint(hint);
  });
  let due = 0;
  return async () => {
    do due = await reconciler.step();
    while (due <= world.now());
  };
};

/** The loop: a call for each thing, one after the other, and a look at each open task every six seconds. */
async function byLoop(world: World, hub: Hub): Promise<() => Promise<void>> {
  const open = new Map<number, string>();
  let [next, begun] = [0, false];
  async function begin(): Promise<void> {
    begun = true;
    for (const { build_id, nvr } of await hub.read(koji.listTagged('kmods9s-release', { latest: true }))) {
      if (/gamma/.test(nvr)) continue;
      const build = await hub.read(koji.getBuild(build_id));
      await hub.read(koji.listBuildRPMs(build_id));
      const { name = '', version = '', release = '' } = build ?? {};
      const source = `../packages/${name}/${version}/${release}/src/${nvr}.src.rpm`;
      open.set(
        await hub.write(
          koji.build(source, 'kmods9s-gate', { scratch: true, wait_builds: [NEW], wait_repo: true }),
        ),
        nvr,
      );
    }
  }
  async function read(task: number): Promise<void> {
    await hub.read(koji.getTaskResult(task));
    const children = Object.values(await hub.read(koji.getTaskDescendents(task))).flat();
    for (const { id } of children.filter(({ method }) => method === 'buildArch')) {
      await hub.read(koji.getTaskResult(id));
      const root = (await hub.read(koji.listBuildroots(id))).at(-1);
      if (root) await hub.read(koji.listRPMs({ componentBuildrootID: root.id }));
    }
  }
  return async () => {
    if (world.now() < next || (begun && open.size === 0)) return;
    next = world.now() + 6 * SECOND;
    if (!begun) {
      const [kernel] = await hub.read(koji.listTagged('c9s-gate', { package: 'kernel' }));
      if (kernel?.nvr === NEW) await begin();
      return;
    }
    for (const task of [...open.keys()]) {
      const info = await hub.read(koji.getTaskInfo(task));
      if (info?.completion_ts == null) continue;
      await read(task);
      open.delete(task);
    }
    const id = world.build(NEW)?.id ?? 0;
    if (open.size === 0) await hub.write(koji.tagBuild('c9s-candidate', id, { fromtag: 'c9s-gate' }));
  };
}

const SIZES = [1, 8, 100] as const;
/** On the way of each request, in ms. */
const LATENCY = 20;

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const rows: Record<string, number>[] = [];
for (const kmods of SIZES) {
  const loop = await play(kmods, LATENCY, byLoop);
  const gate = await play(kmods, LATENCY, byGate(kmods));
  rows.push({
    kmods,
    requests: gate.requests,
    calls: gate.calls,
    bytes: gate.bytes,
    delay_ms: Math.round(gate.delay),
    loop_requests: loop.requests,
    loop_bytes: loop.bytes,
    loop_delay_ms: Math.round(loop.delay + loop.waited),
  });
}
if (values.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
else {
  const show = (cells: readonly string[]) =>
    process.stdout.write(
      `${cells.map((cell, i) => (i === 0 ? cell.padEnd(10) : cell.padStart(15))).join('')}\n`,
    );
  show(['kmods', 'requests', 'of the loop', 'kB', 'of the loop', 'delay', 'of the loop']);
  for (const { kmods, requests, loop_requests, bytes, loop_bytes, delay_ms, loop_delay_ms } of rows)
    show([
      `${kmods}`,
      `${requests}`,
      `1/${((loop_requests ?? 0) / (requests ?? 1)).toFixed(1)}`,
      `${((bytes ?? 0) / 1000).toFixed(0)}`,
      `1/${((loop_bytes ?? 0) / (bytes ?? 1)).toFixed(1)}`,
      `${delay_ms} ms`,
      `1/${((loop_delay_ms ?? 0) / (delay_ms ?? 1)).toFixed(0)}`,
    ]);
}
