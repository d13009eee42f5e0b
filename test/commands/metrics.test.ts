/** `/metrics` and the probes of a real gate, before, while and after it does its work. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { lineFor, newToken } from '../../src/http/tokens.ts';
import { NEW } from '../scenarios/stage.ts';
import { liveGate, valuesOf } from './livegate.ts';

test('a scrape tells what a gate has done, and agrees with its store', { timeout: 60_000 }, async () => {
  const { gate, world, metrics, get } = await liveGate();
  await gate.subscribed;
  const atStart = await metrics();
  expect(atStart.get(`kmod_gate_build_info{version="1.2.3-test",node="${process.version}"}`)).toBe(1);
  // What may rise later is there at zero, else its first rise is seen by nobody.
  for (const zero of [
    'kmod_gate_verdicts_total{gate="c9s",verdict="block"}',
    'kmod_gate_runs_closed_total{gate="c9s",how="done"}',
    'kmod_gate_attempts_total{gate="c9s"}',
    'kmod_gate_retries_total{gate="c9s"}',
    'kmod_gate_oldest_undecided_seconds{gate="c9s"}',
    'kmod_gate_runs{gate="c9s",state="running",verdict="none"}',
    'kmod_gate_runs{gate="c9s",state="held",verdict="hold"}',
    'kmod_gate_hub_requests_total{kind="read",result="unavailable"}',
    'kmod_gate_bus_reconnects_total',
  ])
    expect([zero, atStart.get(zero)]).toEqual([zero, 0]);
  await expect.poll(async () => (await get('/readyz')).status).toBe(200);

  const id = world.completeKernel(NEW, { tag: 'c9s-gate' });
  const running = 'kmod_gate_runs{gate="c9s",state="running",verdict="none"}';
  await expect.poll(async () => (await metrics()).get(running)).toBe(1);
  await expect
    .poll(async () => (await metrics()).get('kmod_gate_runs_closed_total{gate="c9s",how="done"}'), {
      timeout: 30_000,
    })
    .toBe(1);
  const after = await metrics();
  const [run] = await gate.store.runsOf(id);
  const builds = run?.intents.filter(({ write }) => write.kind === 'scratch-build') ?? [];
  expect(builds.length).toBeGreaterThan(2);
  expect(after.get('kmod_gate_verdicts_total{gate="c9s",verdict="block"}')).toBe(1);
  expect(after.get('kmod_gate_attempts_total{gate="c9s"}')).toBe(builds.length);
  const ended = ['done', 'failed', 'lost'].map((how) =>
    after.get(`kmod_gate_attempts_ended_total{gate="c9s",how="${how}"}`),
  );
  expect(ended).toEqual(
    ['done', 'failed', 'lost'].map((how) => builds.filter(({ ending }) => ending?.how === how).length),
  );
  expect(after.get(running)).toBe(0);
  expect(after.get('kmod_gate_attempts_running{gate="c9s"}')).toBe(0);
  expect(after.get('kmod_gate_ready')).toBe(1);
  expect(after.get('kmod_gate_alive')).toBe(1);
  expect(after.get('kmod_gate_login_failing_seconds')).toBe(0);
  expect(after.get('kmod_gate_bus_connected')).toBe(1);
  expect(after.get('kmod_gate_bus_messages_total{result="heeded"}')).toBeGreaterThan(0);
  expect(after.get('kmod_gate_hub_calls_total{method="build",kind="write"}')).toBe(builds.length);
  expect(after.get('kmod_gate_hub_calls_total{method="login",kind="write"}')).toBe(1);
  const reads = after.get('kmod_gate_hub_requests_total{kind="read",result="ok"}');
  expect(reads).toBeGreaterThan(0);
  expect(after.get('kmod_gate_hub_request_seconds_count{kind="read"}')).toBe(reads);
  expect(after.get('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
  const swept = after.get('kmod_gate_last_sweep_timestamp_seconds') ?? 0;
  expect(Math.abs(Date.now() / 1000 - swept)).toBeLessThan(120);
});

test('a login that fails is told at once by the probe, the page and the metrics', async () => {
  const { get, metrics } = await liveGate({ koji: { password: 'wrong' } });
  await expect
    .poll(async () => (await get('/readyz')).json())
    .toMatchObject({
      ok: false,
      reasons: [
        expect.stringMatching(/^cannot log in at the hub since .*: login: invalid username or password/),
      ],
      login: { state: 'fails' },
    });
  const alive = await get('/healthz');
  expect([alive.status, await alive.json()]).toEqual([200, expect.objectContaining({ look_every: 60_000 })]);
  expect(await (await get('/')).text()).toContain('nothing can be built or tagged: login: invalid username');
  const values = await metrics();
  expect(values.get('kmod_gate_ready')).toBe(0);
  expect(values.get('kmod_gate_login_failing_seconds')).toBeGreaterThan(0);
  expect(values.get('kmod_gate_hub_silent_seconds')).toBe(0);
});

test('/metrics can have an address of its own, with the probes and no page, or be nowhere', async () => {
  const address = { host: '127.0.0.1', port: 0 };
  const { gate, get } = await liveGate({ http: { ...address, metrics: address } });
  expect((await get('/metrics')).status).toBe(404);
  const apart = (path: string) => fetch(`${gate.metricsUrl}${path}`);
  const scrape = await apart('/metrics');
  expect(scrape.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(valuesOf(await scrape.text()).get('kmod_gate_alive')).toBe(1);
  expect((await apart('/healthz')).status).toBe(200);
  expect((await apart('/')).status).toBe(404);
  const none = await liveGate({ http: { ...address, metrics: false } });
  expect((await none.get('/metrics')).status).toBe(404);
  expect(none.gate.metricsUrl).toBeUndefined();
});

test('a bus lags by the time between a message being sent and being heard', async () => {
  const { publish, metrics } = await liveGate();
  const message = (headers: Record<string, unknown>) => ({
    routingKey: 'x.buildsys.tag',
    headers,
    properties: {},
    body: Buffer.from('{}'),
  });
  const lag = async () => (await metrics()).get('kmod_gate_bus_lag_seconds') ?? 0;
  await publish(message({ 'sent-at': new Date(Date.now() - 90_000).toISOString() }));
  await expect.poll(lag).toBeGreaterThan(85);
  await publish(message({ timestamp_in_ms: Date.now() - 30_000 }));
  await expect.poll(lag).toBeLessThan(60);
  expect(await lag()).toBeGreaterThan(25);
  // A sender whose clock is ahead, and one that does not tell, or not in words of time.
  await publish(message({ 'sent-at': 'soon' }));
  expect(await lag()).toBeGreaterThan(25);
  await publish(message({ 'sent-at': new Date(Date.now() + 90_000).toISOString() }));
  await expect.poll(lag).toBe(0);
});

test('where reading is closed the probes say no more than yes or no, and a scrape needs a token', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [token, tokens] = [newToken(), join(folder, 'tokens')];
  writeFileSync(tokens, `${lineFor(token, { name: 'prometheus', right: 'read' })}\n`, { mode: 0o600 });
  const { gate, get } = await liveGate({ http: { host: '127.0.0.1', port: 0, tokens, closed: true } });
  await expect.poll(async () => (await get('/readyz')).json()).toEqual({ ok: true });
  expect((await get('/metrics')).status).toBe(401);
  const scrape = await fetch(`${gate.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect(valuesOf(await scrape.text()).get('kmod_gate_ready')).toBe(1);
});
