/** `/metrics` for Prometheus: what a gate does, counted. docs/monitoring.md says what each is for. */
import { type FastifyInstance, fastify } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Health, isAlive, standsBy } from './health.ts';
import { type Address, type Listening, listenAt } from './listen.ts';
import { addProbes, unready } from './ready.ts';

/** What a scrape asks. It must cost little: nothing here reads runs. */
export interface Measured {
  health(): Health;
  /** Live runs that stand alike, counted. */
  liveRuns(): Promise<readonly LiveRuns[]>;
  /** Keys of the reconciler: due, at work, failed last time; and when every watched tag was last read, ms; null: never. */
  load(): {
    readonly waiting: number;
    readonly working: number;
    readonly failing: number;
    readonly sweptAt: number | null;
  };
  /** Ms since the epoch, by the clock of `oldest` and `sweptAt`; and how far the machine's is ahead of it. */
  now(): number;
  ahead(): number;
  readonly version: string;
  /** Names of the gates. */
  readonly gates: readonly string[];
}

interface LiveRuns {
  readonly gate: string;
  readonly verdict: string | null;
  readonly held: boolean;
  readonly runs: number;
  /** When the oldest began, ms. */
  readonly oldest: number;
  /** Scratch builds under way. */
  readonly building: number;
}

/** A request to the hub that is over. */
interface Exchanged {
  readonly methods: readonly string[];
  readonly purpose: string;
  readonly ms: number;
  readonly result: string;
}

/** What is counted as it happens. Every gate that is named is one of `Measured.gates`, or was one. */
export interface Meters {
  exchange(exchange: Exchanged): void;
  verdict(gate: string, verdict: string): void;
  closed(gate: string, how: string): void;
  /** Scratch builds that are asked for; `retries` of them are further tries. */
  asked(gate: string, builds: number, retries: number): void;
  ended(gate: string, how: string): void;
}

export interface Metrics extends Meters {
  /** The text of a scrape. */
  text(): Promise<string>;
  readonly contentType: string;
}

const VERDICTS = ['promote', 'block', 'hold'];
const CLOSINGS = ['done', 'observed', 'superseded', 'taken-over', 'cancelled'];
const ENDINGS = ['done', 'failed', 'lost'];
/** Seconds. */
const LATENCIES = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

let processes: Registry | undefined;
/** What is measured of the process, whatever gates come and go in it: its observers never end. */
function ofProcess(): Registry {
  if (!processes) {
    processes = new Registry();
    collectDefaultMetrics({ register: processes });
  }
  return processes;
}

/** All that is counted, at zero. */
export function createMetrics(measured: Measured): Metrics {
  ofProcess();
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name: `kmod_gate_${name}`, help, labelNames, registers });

  const verdicts = counter('verdicts_total', 'Verdicts that were given.', 'gate', 'verdict');
  const closed = counter('runs_closed_total', 'Runs that ended, by how.', 'gate', 'how');
  const attempts = counter('attempts_total', 'Scratch builds that were asked for.', 'gate');
  const retries = counter('retries_total', 'Those of them that were further tries.', 'gate');
  const ended = counter('attempts_ended_total', 'Scratch builds that ended, by how.', 'gate', 'how');
  // A series that begins with one is a rise that no rate() sees.
  for (const gate of measured.gates) {
    for (const verdict of VERDICTS) verdicts.inc({ gate, verdict }, 0);
    for (const how of CLOSINGS) closed.inc({ gate, how }, 0);
    for (const how of ENDINGS) ended.inc({ gate, how }, 0);
    attempts.inc({ gate }, 0);
    retries.inc({ gate }, 0);
  }

  const calls = counter('hub_calls_total', 'Calls to the hub, those within multiCall.', 'method', 'kind');
  const seconds = new Histogram({
    name: 'kmod_gate_hub_request_seconds',
    help: 'Requests to the hub and how long each took.',
    labelNames: ['kind'],
    buckets: LATENCIES,
    registers,
  });
  const requests = counter(
    'hub_requests_total',
    'Requests to the hub, by what came of them.',
    'kind',
    'result',
  );
  for (const kind of ['read', 'write']) {
    seconds.zero({ kind });
    for (const result of ['ok', 'refused', 'unavailable', 'unknown']) requests.inc({ kind, result }, 0);
  }

  let scrape: ReturnType<Measured['liveRuns']> = Promise.resolve([]);
  measureRuns(registry, measured, () => scrape);
  measureState(registry, measured);
  measureBus(registry, measured);
  measureTell(registry, measured);
  return {
    exchange({ methods, purpose: kind, ms, result }) {
      for (const method of methods) calls.inc({ method, kind });
      requests.inc({ kind, result });
      seconds.observe({ kind }, ms / 1000);
    },
    verdict: (gate, verdict) => verdicts.inc({ gate, verdict }),
    closed: (gate, how) => closed.inc({ gate, how }),
    asked(gate, builds, again) {
      attempts.inc({ gate }, builds);
      retries.inc({ gate }, again);
    },
    ended: (gate, how) => ended.inc({ gate, how }),
    async text() {
      scrape = measured.liveRuns();
      return `${await registry.metrics()}\n${await ofProcess().metrics()}`;
    },
    contentType: registry.contentType,
  };
}

/**
 * What is alive.
 * @param counted the answer of the store that this scrape goes by
 */
function measureRuns(
  registry: Registry,
  { now, gates }: Measured,
  counted: () => Promise<readonly LiveRuns[]>,
): void {
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    show: (of: Gauge<L>, counts: readonly LiveRuns[]) => void,
  ) =>
    new Gauge({
      name: `kmod_gate_${name}`,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const counts = await counted();
        this.reset();
        show(this, counts);
      },
    });
  gauge(
    'runs',
    'Runs that are not over, by whether a person holds them, and by their verdict.',
    ['gate', 'state', 'verdict'],
    (of, counts) => {
      for (const gate of gates)
        for (const state of ['running', 'held'])
          for (const verdict of ['none', ...VERDICTS]) of.set({ gate, state, verdict }, 0);
      for (const { gate, verdict, held, runs } of counts)
        of.inc({ gate, state: held ? 'held' : 'running', verdict: verdict ?? 'none' }, runs);
    },
  );
  gauge(
    'oldest_undecided_seconds',
    'Age of the oldest run that has neither promoted nor blocked its kernel; 0 where there is none.',
    ['gate'],
    (of, counts) => {
      for (const gate of gates) of.set({ gate }, 0);
      const begun = new Map<string, number>();
      for (const { gate, verdict, oldest } of counts)
        if (verdict === null || verdict === 'hold')
          begun.set(gate, Math.min(oldest, begun.get(gate) ?? oldest));
      for (const [gate, at] of begun) of.set({ gate }, Math.max(0, now() - at) / 1000);
    },
  );
  gauge('attempts_running', 'Scratch builds under way.', ['gate'], (of, counts) => {
    for (const gate of gates) of.set({ gate }, 0);
    for (const { gate, building } of counts) of.inc({ gate }, building);
  });
}

/** Whether the gate works, and what it has to do. */
function measureState(registry: Registry, { health, load, version, ahead }: Measured): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `kmod_gate_${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  new Gauge({
    name: 'kmod_gate_build_info',
    help: 'Always 1; the labels say which version this is.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const truth = (yes: boolean) => Number(yes);
  const since = (trouble: { since: number } | null | undefined) =>
    trouble ? Math.max(0, Date.now() - trouble.since) / 1000 : 0;
  gauge('alive', '1 while looks at the hub end, as /healthz tells.', () =>
    truth(isAlive(health(), Date.now())),
  );
  gauge('ready', '1 while a kernel that comes now would be judged, as /readyz tells.', () =>
    truth(unready(health(), Date.now()).length === 0),
  );
  new Gauge({
    name: 'kmod_gate_acts',
    help: '1 while this gate acts, 0 while it stands by for another one on its store; absent where it has the store alone.',
    registers,
    collect() {
      const { lease } = health();
      this.remove();
      if (lease) this.set(Number(lease.acts));
    },
  });
  gauge('hub_silent_seconds', 'For how long the hub has not answered; 0 while it does.', () =>
    since(health().trouble),
  );
  gauge('login_failing_seconds', 'For how long no login at the hub works; 0 while one does.', () => {
    const { login } = health();
    return since(login?.state === 'fails' ? login : null);
  });
  gauge('queue_waiting', 'Looks that are due and wait for their turn.', () => load().waiting);
  gauge('queue_working', 'Looks under way.', () => load().working);
  gauge('queue_failing', 'Looks that failed last time and are tried again.', () => load().failing);
  new Gauge({
    name: 'kmod_gate_last_sweep_timestamp_seconds',
    help: 'When every watched tag had been read; 0: not yet; absent while another gate acts.',
    registers,
    collect() {
      const { sweptAt } = load();
      this.remove();
      if (!standsBy(health())) this.set(sweptAt === null ? 0 : (sweptAt + ahead()) / 1000);
    },
  });
}

/** The subscription. Its counts begin with the process, so they are set, not added. */
function measureBus(registry: Registry, { health }: Measured): void {
  const registers = [registry];
  new Gauge({
    name: 'kmod_gate_bus_connected',
    help: '1 while subscribed, 0 while not; absent without a bus.',
    registers,
    collect() {
      const { bus } = health();
      // A gauge without labels shows 0 unless it is removed.
      this.remove();
      if (bus) this.set(Number(bus.connected));
    },
  });
  const counted = (name: string, help: string, value: (bus: NonNullable<Health['bus']>) => number) =>
    new Counter({
      name: `kmod_gate_bus_${name}`,
      help,
      registers,
      collect() {
        this.reset();
        const { bus } = health();
        if (bus) this.inc(value(bus));
      },
    });
  counted(
    'reconnects_total',
    'How often the subscription was lost and made again.',
    (bus) => bus.reconnects ?? 0,
  );
  new Counter({
    name: 'kmod_gate_bus_messages_total',
    help: 'Messages taken, by what they were worth.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      const { received = 0, ignored = 0, undecodable = 0 } = health().bus ?? {};
      this.inc({ result: 'heeded' }, Math.max(0, received - ignored - undecodable));
      this.inc({ result: 'ignored' }, ignored);
      this.inc({ result: 'undecodable' }, undecodable);
    },
  });
  new Gauge({
    name: 'kmod_gate_bus_lag_seconds',
    help: 'How long the newest message that tells when it was sent was on its way.',
    registers,
    collect() {
      this.set((health().bus?.lagMs ?? 0) / 1000);
    },
  });
  new Gauge({
    name: 'kmod_gate_bus_last_message_timestamp_seconds',
    help: 'When the newest message came; 0: none yet.',
    registers,
    collect() {
      this.set((health().bus?.lastMessageAt ?? 0) / 1000);
    },
  });
}

/** What others are told, a channel each: the outbox. */
function measureTell(registry: Registry, { health, now }: Measured): void {
  type Channel = NonNullable<Health['tell']>[number];
  const gauge = (name: string, help: string, value: (channel: Channel) => number) =>
    new Gauge({
      name: `kmod_gate_tell_${name}`,
      help,
      labelNames: ['channel'],
      registers: [registry],
      collect() {
        this.reset();
        for (const channel of health().tell ?? []) this.set({ channel: channel.channel }, value(channel));
      },
    });
  gauge('waiting', 'Messages that are still to be sent.', ({ waiting }) => waiting);
  gauge('failed', 'Messages that were given up.', ({ failed }) => failed);
  gauge('sent', 'Messages that were sent since the start.', ({ sent }) => sent);
  gauge('oldest_seconds', 'How long the oldest message waits; 0: none does.', ({ oldest }) =>
    oldest === null ? 0 : Math.max(0, now() - oldest) / 1000,
  );
}

/** Serve `/metrics`. */
export function addMetrics(
  app: FastifyInstance,
  { text, contentType }: Pick<Metrics, 'text' | 'contentType'>,
  headers: Readonly<Record<string, string>>,
): void {
  app.get('/metrics', async (_request, reply) => {
    const answer = await text();
    return reply.headers(headers).type(contentType).send(answer);
  });
}

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/**
 * Serve `/metrics` and the probes alone, where the pages are not for everybody.
 * @throws ListenError
 */
export async function serveMetrics(
  listen: Address,
  metrics: Pick<Metrics, 'text' | 'contentType'>,
  health: () => Health,
): Promise<Listening> {
  const app = fastify({ forceCloseConnections: true });
  addMetrics(app, metrics, HEADERS);
  addProbes(app, health, { headers: HEADERS });
  return listenAt(app, listen, { name: 'the server of /metrics', key: 'metrics' });
}
