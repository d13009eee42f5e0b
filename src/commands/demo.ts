/** `kmod-gate demo`: four kernels on a Koji in memory, with the real gate, the real protocols and a real bus if there is one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { closeQuietly, connectBroker, parseBroker } from '../bus/broker.ts';
import { startConsumer } from '../bus/consumer.ts';
import { localBus } from '../bus/local.ts';
import type { BusMessage } from '../bus/message.ts';
import { connectPublisher } from '../bus/publisher.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { lineOf, type RunReport } from '../report/report.ts';
import { visible } from '../report/visible.ts';
import { busMessage } from '../sim/messages.ts';
import { actOnHub } from '../sim/play.ts';
import { readScenario } from '../sim/scenario.ts';
import { serveWorld } from '../sim/server.ts';
import { createWorld, type World } from '../sim/world.ts';
import { type GateOptions, type RunningGate, startGate } from './gate.ts';
import { createLog } from './log.ts';
import type { Floor } from './people.ts';
import { createProgress } from './progress.ts';
import { speak } from './rehearse.ts';
import { newestReports, reporting, statusTable } from './report.ts';
import type { Output } from './text.ts';

/** The scenario's and the gate's files, beside `src` and `dist` alike. */
const FILES = fileURLToPath(new URL('../../config/demo/', import.meta.url));
const CONFIG = join(FILES, 'kmod-gate.toml');
const SCENARIO = join(FILES, 'scenario.toml');
const BROKER = 'amqp://guest:guest@127.0.0.1:5672';
/** The Koji's clock moves with the wall clock, this often, in ms. */
const TICK = 50;
/** No act of the play takes longer, in ms. */
const PATIENCE = 30_000;

/** How each kernel must end. */
const EXPECTED = [
  { nvr: 'kernel-6.1.176-50.el9', verdict: 'promote', tags: ['c9s-candidate'] },
  { nvr: 'kernel-6.1.187-53.el9', verdict: 'block', tags: ['c9s-blocked'] },
  { nvr: 'kernel-6.1.192-56.el9', verdict: 'promote', tags: ['c9s-candidate'] },
  { nvr: 'kernel-6.1.192-63.el9', verdict: 'promote', tags: ['c9s-candidate'] },
] as const;

interface DemoOptions {
  /** Print the result as JSON, last. */
  readonly json: boolean;
  /** Keep serving after the play, until `stop` fires. */
  readonly serve: boolean;
  readonly stop: AbortSignal;
}

/** @returns whether every kernel ended where it should */
export async function demo(output: Output, options: DemoOptions): Promise<boolean> {
  /** Newest first: what was started last is ended first. */
  const closers: (() => unknown)[] = [];
  try {
    return await perform(output, options, (closer) => closers.unshift(closer));
  } finally {
    for (const close of closers) await close();
  }
}

async function perform(
  output: Output,
  { json, serve, stop }: DemoOptions,
  atEnd: (closer: () => unknown) => void,
): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-demo-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const { scenario, play } = readScenario(SCENARIO);
  const world = createWorld(scenario, { now: Date.now() });
  const server = await serveWorld(world);
  atEnd(server.close);
  const log = createLog('pretty', 'warn', process.stderr);
  const bus = await openBus(log);
  atEnd(bus.close);
  let heard = true;
  world.onMessage((event) => {
    const message = heard ? busMessage(event, { family: 'fedora' }) : null;
    if (message) bus.publish(message).catch((error: unknown) => log.warn(`not published: ${error}`));
  });
  const clock = setInterval(() => world.tick(TICK), TICK);
  atEnd(() => clearInterval(clock));
  const progress = createProgress(output, false);
  const config = demoConfig(server.url, server.topurl, folder, serve);
  const gate = await startGate(config, { log, onEntry: progress.entry, subscribe: bus.subscribe });
  atEnd(gate.stop);
  await gate.subscribed;

  const { length } = scenario.kmods;
  progress.line(
    `A Koji in memory with ${length} kmods at ${server.url}, a gate on its tag ${config.gates[0]?.watch}, and ${bus.name}.`,
  );
  const floor: Floor = { config, store: gate.store, output, now: Date.now };
  for (const { act, title, heard: told } of play) {
    if (stop.aborted || act.kind === 'end') break;
    heard = told;
    const said = Date.now();
    if ('gate' in act) await speak(act, floor, (command) => progress.line(`\n${visible(command)}`));
    else {
      progress.line(`\n--- ${visible(`${act.kernel}${title === null ? '' : `: ${title}`}`)}`);
      actOnHub(world, act);
    }
    await decided(gate, act.kernel, stop, 'gate' in act ? said : 0);
  }
  const reports = (await newestReports(reporting(config, gate.store), EXPECTED.length)).reverse();
  output.write(`\n${statusTable(output, reports.map(lineOf))}`);
  if (!serve) output.write(`\n${nextSteps()}`);
  if (json) output.write(`${JSON.stringify({ runs: reports.map((report) => summary(report, world)) })}\n`);
  if (serve && !stop.aborted) {
    progress.line(`\nDashboard: ${gate.url}   Hub: ${server.url}   (Ctrl-C ends it)`);
    await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }));
  }
  return EXPECTED.every(({ nvr, verdict, tags }) => {
    const report = reports.find((run) => run.nvr === nvr);
    return report?.verdict === verdict && String(tagsOf(world, nvr)) === String(tags);
  });
}

/** Commands that work in the folder that the demo was started in. */
function nextSteps(): string {
  const near = (file: string) => {
    const below = relative(process.cwd(), file);
    return below.startsWith('..') ? file : below;
  };
  const [config, scenario] = [CONFIG, SCENARIO].map(near);
  // As it was called: not npx, which outside a checkout fetches whatever has that name in a registry.
  const called = process.argv[1] ?? '';
  const self = basename(called) === 'kmod-gate' ? 'kmod-gate' : `node ${near(called)}`;
  const steps = [
    [`${self} demo --serve`, 'the same, and its dashboard stays open'],
    [`${self} config check ${config}`, 'what this gate is told to do'],
    [
      `${self} rehearse --config ${config} --scenario ${scenario}`,
      'the same on a clock of its own, in a few seconds',
    ],
  ];
  const lines = steps.map(([command, what]) => `  ${command}\n      ${what}\n`);
  const change = 'Change a policy in the first file or what happens in the second, and rehearse it again.\n';
  return `Try next:\n${lines.join('')}      ${change}`;
}

function demoConfig(server: string, topurl: string, folder: string, serve: boolean): Config {
  const config = loadConfig(CONFIG);
  const { http, ...rest } = config;
  return {
    ...rest,
    koji: { ...config.koji, server, topurl },
    store: { url: `sqlite:${join(folder, 'kmod-gate.db')}` },
    ...(serve && http && { http }),
  };
}

interface DemoBus {
  readonly name: string;
  readonly publish: (message: BusMessage) => Promise<void>;
  /** How the gate listens to it. */
  readonly subscribe: NonNullable<GateOptions['subscribe']>;
  close(): Promise<void>;
}

/** RabbitMQ with an exchange and a queue of the demo's own, or a bus within the process where no broker answers. */
async function openBus(log: Logger): Promise<DemoBus> {
  const own = `kmod-gate-demo-${process.pid}`;
  try {
    const publisher = await connectPublisher({ url: BROKER, exchange: own }, log);
    const settings = { url: BROKER, exchange: own, queue: own, bindings: ['#'], prefetch: 50 };
    return {
      name: 'RabbitMQ at 127.0.0.1:5672',
      publish: publisher.publish,
      subscribe: (onHint) => startConsumer(settings, onHint, log),
      async close() {
        await publisher.close();
        await removeFromBroker(own);
      },
    };
  } catch {
    const bus = localBus();
    return {
      name: 'a bus within the process (RabbitMQ at 127.0.0.1:5672 does not answer)',
      publish: bus.publish,
      subscribe: (onHint) => bus.consume(onHint, log),
      close: async () => {},
    };
  }
}

/** Both are durable, as a gate's should be, so they go by name. */
async function removeFromBroker(name: string): Promise<void> {
  const model = await connectBroker(parseBroker(BROKER));
  const channel = await model.createChannel();
  await channel.deleteQueue(name);
  await channel.deleteExchange(name);
  await closeQuietly(model);
}

/** Until the run on a kernel is over. */
async function decided({ store }: RunningGate, nvr: string, stop: AbortSignal, after = 0): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end && !stop.aborted) {
    const kernel = await store.kernel(nvr);
    const run = kernel && (await store.runsOf(kernel.id))[0];
    const isOver = run?.closing && run.closing.at > after;
    if (isOver && (await store.unexplained()).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, TICK));
  }
}

/** The kernel's tags as the hub has them now. */
function tagsOf(world: World, nvr: string): string[] {
  return world.build(nvr) ? world.tags(nvr) : [];
}

function summary({ nvr, verdict, reasons, kmods }: RunReport, world: World) {
  return { nvr, verdict, reasons, kmods, tags: tagsOf(world, nvr) };
}
