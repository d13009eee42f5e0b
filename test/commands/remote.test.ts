/** The command line and a gate elsewhere: what `--server` prints, and what the API answers of a gate that really runs. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CheckError } from '../../src/commands/error.ts';
import { explainCommand } from '../../src/commands/explain.ts';
import { type RunningGate, startGate } from '../../src/commands/gate.ts';
import { listWaivers, type OrderOptions, type WaiveOptions } from '../../src/commands/people.ts';
import { type Place, recordsAt, type Speaker, speakerAt } from '../../src/commands/place.ts';
import type { Records } from '../../src/commands/records.ts';
import { connectGate, type RemoteOptions } from '../../src/commands/remote.ts';
import { status } from '../../src/commands/report.ts';
import type { Output } from '../../src/commands/text.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Order } from '../../src/core/model.ts';
import { TokensError } from '../../src/http/error.ts';
import { newToken } from '../../src/http/tokens.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';
import { validatorOf } from '../http/description.ts';
import { GATE, NEW, SMALL } from '../scenarios/stage.ts';
import { type Ended, gateConfig, runProgram, start } from './program.ts';

const FAST = 500;
const TICK = 20;
const SOON = { timeout: 60_000, interval: 50 };

const explaining = (records: Records, output: Output, subject: string, json: boolean) =>
  explainCommand(records, output, subject, { format: json ? 'json' : 'text' });

let folder: string;
let config: string;
let world: World;
let server: WorldServer;
let clock: NodeJS.Timeout;
let speed = 0;
let gate: RunningGate;
let url: string;
let token: string;
/** All that the gate logs, and all that any command prints. */
const seen: string[] = [];

const configured = (): string[] => ['--config', config];

async function ended(program: Promise<Ended>): Promise<Ended> {
  const { stdout, stderr, ...how } = await program;
  seen.push(stdout, stderr);
  return { stdout, stderr, ...how };
}
const here = (...args: string[]) => ended(runProgram(...args, ...configured()));
const elsewhere = (args: string[], env: NodeJS.ProcessEnv = { KMOD_GATE_TOKEN: token }) =>
  ended(start([...args, '--server', url], { env, cwd: folder }).ended);
const pick = ({ code, stdout, stderr }: Ended) => ({ code, stdout, stderr });
/** The same in this process, which is faster: what is printed, or why it is refused. */
const place = (server?: string): Place => ({ config, ...(server !== undefined && { server }) });
async function printed(command: (output: Output) => Promise<unknown>): Promise<string> {
  const written: string[] = [];
  try {
    const known = await command({ write: (text) => void written.push(text), colour: false });
    if (known === false) written.push('not known');
  } catch (error) {
    if (!(error instanceof CheckError)) throw error;
    written.push(`refused: ${error.message}`);
  }
  seen.push(...written);
  return written.join('');
}
const load = async () => loadConfig(config);
const read = (command: (records: Records, output: Output) => Promise<unknown>) => async (at: Place) =>
  printed(async (output) => command(await recordsAt(at, load), output));
const speak = (command: (speaker: Speaker, output: Output) => Promise<unknown>) => async (at: Place) =>
  printed(async (output) => command(await speakerAt(at, load), output));
const lastSaid = async () => {
  const kernel = await gate.store.kernel(NEW);
  return kernel && gate.store.lastSaid('c9s', kernel.id);
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kmod-gate-test-'));
  config = join(folder, 'gate.toml');
  world = createWorld(loadScenario(SMALL));
  server = await serveWorld(world);
  const tokens = join(folder, 'tokens');
  const http = `[http]\nlisten = "127.0.0.1:0"\ntokens = "${tokens}"\n[[gate]]`;
  writeFileSync(config, gateConfig(server.url, folder).replace('[[gate]]', http));
  const log = pino({}, { write: (line) => seen.push(line) });
  await expect(startGate(loadConfig(config), { log })).rejects.toThrow(TokensError);
  const made = await runProgram('token', 'new', 'ada', ...configured());
  expect(made.stderr).toBe(
    `ada may read and write by this token, which is shown this once; its hash is in ${tokens}.\n`,
  );
  token = made.stdout.trimEnd();
  vi.stubEnv('KMOD_GATE_TOKEN', token);
  clock = setInterval(() => world.tick(TICK * speed), TICK);
  gate = await startGate(loadConfig(config), { log });
  url = gate.url ?? '';
  world.completeKernel(NEW, { tag: GATE.watch });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  clearInterval(clock);
  await gate?.stop();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('hold, retry and release by the API are said by the person, and heard by the gate', async () => {
  await expect.poll(async () => (await gate.store.runs(1))[0]?.id, SOON).toBeDefined();
  const said = `${NEW} at gate c9s: ada (API) holds it: QA looks first\n`;
  const hold = ['hold', NEW, '--reason', 'QA looks first'];
  expect(pick(await elsewhere(hold))).toEqual({ code: 0, stdout: said, stderr: '' });
  expect(pick(await here(...hold, '--by', 'ada (API)'))).toEqual({ code: 0, stdout: said, stderr: '' });
  speed = FAST;
  await expect.poll(lastSaid, SOON).toContain('held by ada (API)');
  const kernel = await gate.store.kernel(NEW);
  const journal = await gate.store.journal(kernel?.id ?? 0);
  expect(journal.filter(({ kind }) => kind === 'person').map(({ text }) => text)).toContain(
    'ada (API) holds it: QA looks first',
  );
  expect((await elsewhere(['retry', NEW, '--kmod', 'kmod-be*'])).stdout).toBe(
    `${NEW} at gate c9s: ada (API) asks to try kmod-be* again\n`,
  );
  expect((await elsewhere(['release', NEW])).stdout).toBe(`${NEW} at gate c9s: ada (API) releases it\n`);
  await expect.poll(() => world.tags(NEW), SOON).toEqual(['c9s-blocked']);
});

test('status, explain and waivers print the same as with the store', async () => {
  await elsewhere(['waive', '--kernel', 'next', '--kmod', 'kmod-x', '--reason', 'so', '--until', '7d']);
  await expect.poll(async () => (await gate.store.runs(1))[0]?.closing?.how, SOON).toBe('done');
  const commands = [
    read((records, output) => status(records, output, { json: false, limit: 20 })),
    read((records, output) => status(records, output, { json: true, limit: 1 })),
    read((records, output) => explaining(records, output, NEW, false)),
    read((records, output) => explaining(records, output, '5', true)),
    read((records, output) => listWaivers(records, output, { all: false, json: false })),
    read((records, output) => listWaivers(records, output, { all: true, json: true })),
  ];
  for (const [i, command] of commands.entries()) {
    const local = await command(place());
    expect(local).toContain(i < 4 ? NEW : 'kmod-x');
    expect(await command(place(url))).toBe(local);
  }
  const [local, remote] = [await here('explain', NEW), await elsewhere(['explain', NEW])];
  expect(local).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining(`${NEW} (build 5)`) });
  expect(pick(remote)).toEqual(pick(local));
});

test('what cannot be meant is refused in the same words', async () => {
  const waiving = (more: Partial<WaiveOptions>) =>
    speak((speaker, output) =>
      speaker.waive(output, { kernel: NEW, kmod: 'kmod-alpha', reason: 'so', ...more }),
    );
  const order = (kind: Order['kind'], kernel: string, options: OrderOptions = {}) =>
    speak((speaker, output) => speaker.order(output, kind, kernel, options));
  const unwaive = (id: string) => speak((speaker, output) => speaker.unwaive(output, id));
  const commands = [
    read((records, output) => explaining(records, output, 'kernel-9-9', false)),
    read((records, output) => status(records, output, { json: false, limit: 9, before: 'c9s/9/1' })),
    ...[order('hold', 'kernel-9-9'), order('cancel', NEW), order('retry', NEW, { gate: 'c8s' })],
    ...[
      waiving({ kmod: 'kmod-gama' }),
      waiving({ kmod: ' ' }),
      waiving({ kernel: '' }),
      waiving({ reason: '' }),
    ],
    ...[waiving({ until: 'Friday' }), waiving({ gate: 'c8s' }), waiving({ kernel: '4711' })],
    ...[unwaive('99'), unwaive('all')],
  ];
  for (const command of commands) {
    const local = await command(place());
    expect(local).toMatch(/^refused: |^not known$/);
    expect(await command(place(url))).toBe(local);
  }
  const args = ['retry', NEW, '--gate', 'c8s'];
  const local = await here(...args);
  expect(local).toMatchObject({ code: 2, stdout: '', stderr: '--gate c8s: no such gate, only c9s\n' });
  expect(pick(await elsewhere(args))).toEqual(pick(local));
});

test('a waiver lets a blocked kernel through, and may be ended', async () => {
  const waived = await elsewhere([
    'waive',
    '--kernel',
    NEW,
    '--kmod',
    'kmod-g*',
    '--reason',
    'vendor\nknows',
  ]);
  expect(waived.stdout).toMatch(/^waiver \d+: kmod-g\* waived by ada \(API\): vendor knows\n/);
  expect(waived.stdout).toMatch(/ at gate c9s: the gate lets it through now\n$/);
  await expect.poll(() => world.tags(NEW), SOON).toEqual(['c9s-candidate']);
  const [newest] = await gate.store.waivers();
  expect(newest).toMatchObject({ by: 'ada (API)', kmod: 'kmod-g*' });
  const over = await elsewhere(['unwaive', String(newest?.id)]);
  expect(over.stdout).toMatch(/ has ended: .*\nWhat it let through stays where it is\.\n$/);
  expect((await gate.store.waivers())[0]?.ended).toMatchObject({ by: 'ada (API)' });
});

test('each answer of a gate that runs is as the description says', async () => {
  const json = async (path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const asked = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(`${url}/api/v1${path}`, asked);
    return { status: response.status, data: await response.json() };
  };
  const check = validatorOf((await json('/openapi.json')).data as never);
  for (const [path, route] of [
    ['/runs', '/runs'],
    ['/runs?gate=c9s&kmod=kmod-*&verdict=promote', '/runs'],
    [`/kernels/${NEW}`, '/kernels/{subject}'],
    ['/kmods/kmod-gamma', '/kmods/{name}'],
    ['/waivers', '/waivers'],
    ['/gates', '/gates'],
    ['/health', '/health'],
  ] as const) {
    const { status, data } = await json(path);
    expect([path, status, check('get', `/api/v1${route}`, status, data)]).toEqual([path, 200, 'fits']);
  }
  expect((await json('/runs?kmod=kmod-gamma')).data).toMatchObject({ runs: [{ nvr: NEW }] });
  for (const nothing of ['kmod=other', 'gate=c8s', 'verdict=hold'])
    expect((await json(`/runs?${nothing}`)).data).toEqual({ runs: [], older: null });
  const waived = await json('/waive', { kernel: 'next', kmod: 'kmod-y', reason: 'so' });
  expect(waived).toMatchObject({ status: 200, data: { runs: [] } });
  const { waiver: id } = waived.data as { waiver: number };
  const ended = await json('/unwaive', { id });
  const refused = await json('/unwaive', { id });
  expect([ended.status, refused.status]).toEqual([200, 422]);
  for (const { status, data } of [ended, refused])
    expect(check('post', '/api/v1/unwaive', status, data)).toBe('fits');
  expect(check('post', '/api/v1/waive', 200, waived.data)).toBe('fits');
});

describe('the token', () => {
  test('comes from the environment or a file that nobody else may read', async () => {
    const file = join(folder, 'mine');
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    const without = { KMOD_GATE_TOKEN: '' };
    const args = ['waive', '--kernel', 'next', '--kmod', 'kmod-z', '--reason', 'so'];
    expect((await elsewhere([...args, '--token-file', file], without)).code).toBe(0);
    chmodSync(file, 0o644);
    const open = await elsewhere([...args, '--token-file', file], without);
    expect(pick(open)).toEqual({
      code: 2,
      stdout: '',
      stderr: `${file}: others may read the token in it; "chmod 600" it\n`,
    });
    expect((await elsewhere(args, without)).stderr).toMatch(
      /^who speaks\? put your token into KMOD_GATE_TOKEN/,
    );
    const wrong = await elsewhere(args, { KMOD_GATE_TOKEN: newToken() });
    expect(wrong.stderr).toBe(`${url}/: Nobody here has this token; is it complete, and of this gate?\n`);
    // Where anybody may read, nobody needs one.
    expect((await elsewhere(['status'], without)).code).toBe(0);
  });

  const connect = (at: string, more: Partial<RemoteOptions> = {}, held = token) =>
    connectGate(at, { plaintext: false, ...more }, { KMOD_GATE_TOKEN: held });

  test('goes to another host by https alone, unless that is meant', () => {
    for (const at of ['http://gate.example.org', 'http://10.0.0.1:8642', 'http://localhost.example.org'])
      expect(() => connect(at)).toThrow(
        `--server ${at}: http:// to ${new URL(at).host} lets everybody on the way read the token: use https://, or say --plaintext where that is meant`,
      );
    for (const at of ['https://gate.example.org', 'http://localhost:1', 'http://127.0.0.1', 'http://[::1]:1'])
      expect(() => connect(at)).not.toThrow();
    expect(() => connect('http://gate.example.org', { plaintext: true })).not.toThrow();
    expect(() => connect('http://gate.example.org', {}, '')).not.toThrow();
  });

  test('is in no message about it or the URL', () => {
    for (const held of [`${token}\nx: y`, `${token} ${token}`, `${token}é`]) {
      expect(() => connect('https://gate.example.org', {}, held)).toThrow('KMOD_GATE_TOKEN: holds no token');
      expect(() => connect('https://gate.example.org', {}, held)).not.toThrow(token);
    }
    for (const at of [`https://ada:${token}@gate.example.org`, `https://gate.example.org/?t=${token}`]) {
      expect(() => connect(at)).toThrow('--server: a URL without a user');
      expect(() => connect(at)).not.toThrow(token);
    }
    for (const at of ['gate.example.org', 'ftp://gate.example.org', ''])
      expect(() => connect(at)).toThrow('--server: expected the http:// or https:// URL');
    expect(() => connect('https://gate.example.org', { tokenFile: join(folder, 'none') })).toThrow(
      /--token-file .*none: cannot be read: ENOENT/,
    );
  });

  test('says who speaks, and nobody else does', async () => {
    const { speaker } = connect('https://gate.example.org');
    const output = { write() {}, colour: false };
    await expect(speaker.order(output, 'hold', NEW, { by: 'grace' })).rejects.toThrow(
      '--by: with --server the token says who speaks; leave it out',
    );
  });
});

describe('what is no gate', () => {
  let other: Server;
  let at: string;
  let asked: string[];
  let answer: { status: number; headers?: Record<string, string>; body: string };
  beforeAll(async () => {
    other = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization ?? ''}`);
      response.writeHead(answer.status, answer.headers).end(answer.body);
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    at = `http://127.0.0.1:${(other.address() as AddressInfo).port}/below/`;
  });
  afterAll(() => void other.close());

  test.each([
    ['a page', { status: 200, body: '<html>' }, 'does not answer as the API of this kmod-gate does'],
    [
      'other JSON',
      { status: 200, body: '{"runs":[{}]}' },
      'does not answer as the API of this kmod-gate does',
    ],
    ['trouble', { status: 502, body: 'Bad Gateway' }, "HTTP 502, and not by kmod-gate's API"],
    [
      'a way on',
      { status: 302, headers: { location: 'https://elsewhere.example.org/' }, body: '' },
      'sends one on to another URL (HTTP 302), and no token goes there',
    ],
  ])('%s is told as such', async (_, given, expected) => {
    asked = [];
    answer = given;
    const { records } = connectGate(at, { plaintext: false }, { KMOD_GATE_TOKEN: 'secret' });
    const failing = records.runs({ limit: 1 });
    await expect(failing).rejects.toThrow(CheckError);
    await expect(failing).rejects.toThrow(expected);
    expect(asked).toEqual(['/below/api/v1/runs?limit=1 Bearer secret']);
  });

  test('nobody there at all', async () => {
    const { records } = connectGate('http://127.0.0.1:9', { plaintext: false }, {});
    await expect(records.waivers()).rejects.toThrow(/^http:\/\/127\.0\.0\.1:9\/: does not answer: /);
  });

  test('long lists come by pages', async () => {
    asked = [];
    const line = {
      ...{ run: 'c9s/1/1', gate: 'c9s', build: 1, nvr: NEW, status: 'done', state: '', verdict: null },
      ...{ held_by: null, started_at: 1, ended_at: 2, kmods: 0, outcomes: {} },
    };
    answer = { status: 200, body: JSON.stringify({ runs: Array(200).fill(line), older: 'c9s/1/1' }) };
    const { records } = connectGate(at, { plaintext: false }, {});
    const page = await records.runs({ limit: 400 });
    expect([page?.runs.length, page?.older]).toEqual([400, 'c9s/1/1']);
    expect(asked).toEqual([
      '/below/api/v1/runs?limit=200 ',
      '/below/api/v1/runs?limit=200&before=c9s%2F1%2F1 ',
    ]);
  });
});

test('the token was in nothing that was printed, logged or kept', () => {
  expect(seen.length).toBeGreaterThan(30);
  for (const text of seen) expect(text).not.toContain(token.slice(4));
  for (const name of ['kmod-gate.db', 'kmod-gate.db-wal', 'tokens'])
    expect(readFileSync(join(folder, name)).includes(token.slice(4))).toBe(false);
});
