/** CI messages, as a real subscriber on RabbitMQ receives them. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Gate } from '../../src/core/model.ts';
import { busChannel } from '../../src/tell/bus.ts';
import type { Sources } from '../../src/tell/subject.ts';
import type { Teller } from '../../src/tell/teller.ts';
import { openProxy } from '../bus/helpers.ts';
import { GATE, NEW, type Stage, type StageOptions, setStage } from '../scenarios/stage.ts';
import { RABBIT_URL, rabbit } from '../services.ts';
import { mistakes, subscribe } from './receive.ts';
import { CONTACT, silent, sourcesOf, tellOf } from './telling.ts';

/** What a hostile package, person or log may hold. */
const EVIL = '<script>alert(1)</script>\u001b[31m\u202eevil\r\nX: 1';

describe.skipIf(!(await rabbit()))('CI messages', () => {
  const exchange = `kmod-gate-test-${randomUUID()}`;
  let stage: Stage;
  let sources: Sources;
  let teller: Teller;
  let bus: Awaited<ReturnType<typeof subscribe>>;

  beforeEach(async () => {
    bus = await subscribe(exchange);
  });
  afterEach(async () => {
    await teller.stop();
    await sources.hub.close();
    await stage.end();
    await bus.close();
  });

  async function set(
    options: StageOptions = {},
    more: { url?: string; kmods?: boolean } = {},
  ): Promise<void> {
    stage = await setStage(options);
    sources = sourcesOf(stage);
    const to = {
      ...{ exchange, topic: 'org.example.test.ci', kmods: more.kmods ?? true, contact: CONTACT },
      ...{ namespace: 'kmod-gate.koji-build', category: 'validation' },
    };
    teller = await tellOf(stage, [busChannel(to, { url: more.url ?? RABBIT_URL }, sources, silent)]);
    stage.hear();
    stage.world.completeKernel(NEW, { tag: GATE.watch });
  }
  async function told(count: number): Promise<void> {
    await teller.drain();
    await expect.poll(() => bus.received.length).toBe(count);
    for (const { topic, body } of bus.received) expect(mistakes(topic, body)).toEqual([]);
    expect(new Set(bus.received.map(({ id }) => id)).size).toBe(count);
  }

  test('a blocked kernel: queued, running, and a result of it and of each kmod', async () => {
    await set();
    await stage.closed(NEW);
    await told(6);
    expect(bus.said()).toEqual([
      'queued',
      'running',
      'complete failed',
      'complete kmod-alpha passed',
      'complete kmod-beta passed',
      'complete kmod-gamma failed',
    ]);
    const build = stage.world.build(NEW);
    const [queued, , whole, , , gamma] = bus.received;
    expect(queued?.body.artifact).toEqual({
      ...{ type: 'koji-build', id: build?.task_id, component: 'kernel', issuer: 'kojiadmin', nvr: NEW },
      scratch: false,
    });
    expect(queued?.body.contact).toEqual(CONTACT);
    expect(whole?.body).toMatchObject({
      run: { url: `https://gate.example.org/kernel/${build?.id}` },
      pipeline: { id: queued?.body.pipeline.id, name: 'kmod-gate c9s' },
      test: { namespace: 'kmod-gate.koji-build', type: 'c9s', category: 'validation' },
      system: [{ os: 'el9', provider: 'koji', architecture: 'x86_64' }],
    });
    expect(gamma?.body.test.output).toMatch(/^kmod-gamma-0\.8-1\.el9: .*pci_clear_master/);
    expect(gamma?.body.run.log).toMatch(/taskinfo\?taskID=\d+$/);
    expect(gamma?.raw.properties).toMatchObject({
      ...{ contentType: 'application/json', contentEncoding: 'utf-8', deliveryMode: 2 },
      headers: {
        ...{ fedora_messaging_schema: 'base.message', fedora_messaging_severity: 20 },
        fedora_messaging_rpm_kernel: true,
        'sent-at': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/),
      },
    });
    expect(gamma?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  const FINE: Gate['kmods'] = { ...GATE.kmods, exclude: ['kmod-gamma'] };
  test('a promoted kernel, of which the kmods have no messages of their own', async () => {
    await set({ gate: { kmods: FINE } }, { kmods: false });
    await stage.closed(NEW);
    await told(3);
    expect(bus.said()).toEqual(['queued', 'running', 'complete passed']);
  });

  test('a promotion that a waiver made has no failed kmod', async () => {
    await set();
    await stage.waive();
    await stage.closed(NEW);
    await told(6);
    expect(bus.said().slice(2)).toEqual([
      'complete passed',
      'complete kmod-alpha passed',
      'complete kmod-beta passed',
      'complete kmod-gamma info',
    ]);
  });

  test('an advisory kmod that is broken is told, and fails nothing', async () => {
    await set({ gate: { kmods: { ...GATE.kmods, advisory: ['kmod-gamma'] } } });
    await stage.closed(NEW);
    await told(6);
    expect(bus.said().slice(2)).toContain('complete kmod-gamma info');
    expect(bus.said()).toContain('complete passed');
  });

  test('a run that ends without a result: error, with the reason as it is, however hostile', async () => {
    await set();
    await stage.until('tried', () => stage.scratchBuilds('kmod-alpha').length);
    const run = await stage.run(NEW);
    if (!run) throw new Error('no run');
    await stage.store.order(run, {
      at: stage.world.now(),
      by: EVIL,
      kind: 'cancel',
      reason: EVIL,
      kmod: null,
    });
    stage.heard();
    await stage.closed(NEW);
    await told(3);
    expect(bus.said()).toEqual(['queued', 'running', 'error']);
    const error = bus.received[2];
    expect(error?.body.error?.reason).toContain('cancelled: ');
    // JSON carries any text; the envelope, which brokers and receivers read as text, holds none of it.
    expect(JSON.stringify([error?.raw.properties, error?.raw.fields])).not.toContain('script');
  });

  test('a broker that goes away: nothing is lost, all comes in order once it is back', async () => {
    const { hostname, port } = new URL(RABBIT_URL);
    const proxy = await openProxy({ host: hostname, port: Number(port || 5672) });
    const url = new URL(RABBIT_URL);
    url.host = `127.0.0.1:${proxy.port}`;
    await set({}, { url: url.href });
    await stage.until('tried', () => stage.scratchBuilds('kmod-alpha').length);
    await told(2);
    await proxy.close();
    await stage.closed(NEW);
    await teller.drain();
    // The first of four results has met a lost connection, and the end of the run waits behind them.
    expect(teller.state()).toMatchObject([{ channel: 'messages', waiting: 5, failed: 0 }]);
    stage.world.tick(10_000);
    await teller.drain();
    expect(teller.state()[0]?.error).toContain('ECONNREFUSED');
    const again = await openProxy({ host: hostname, port: Number(port || 5672) }, proxy.port);
    stage.world.tick(10_000);
    await told(6);
    await again.close();
    expect(bus.said()[2]).toBe('complete failed');
  });

  test('an exchange that is not there is not made: the reason is in the state', async () => {
    stage = await setStage();
    sources = sourcesOf(stage);
    const missing = `${exchange}-not-there`;
    const to = { exchange: missing, topic: 'org.example.ci', kmods: true, contact: CONTACT };
    const named = { ...to, namespace: 'n', category: 'validation' };
    const channel = busChannel(named, { url: RABBIT_URL }, sources, silent);
    teller = await tellOf(stage, [channel]);
    stage.hear();
    stage.world.completeKernel(NEW, { tag: GATE.watch });
    await stage.closed(NEW);
    await teller.drain();
    expect(teller.state()[0]?.error).toMatch(/404 .*create the exchange, or name another one/);
  });
});
