import { afterEach, describe, expect, it } from 'vitest';
import { decodeResponse, encodeCall, type XmlStruct, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { loadScenario } from '../../src/sim/scenario.ts';
import { type ServeOptions, serveWorld, type WorldServer } from '../../src/sim/server.ts';
import { createWorld, type World } from '../../src/sim/world.ts';

const small = loadScenario(`${import.meta.dirname}/small.toml`);
const OLD = 'kernel-6.1.170-47.el9';
let server: WorldServer;
let world: World;
afterEach(() => server.close());

async function serve(faults?: ServeOptions['faults']): Promise<void> {
  world = createWorld(small);
  server = await serveWorld(world, faults ? { faults } : {});
}

function post(body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url, { method: 'POST', body, headers: { 'Content-Type': 'text/xml', ...headers } });
}

async function call(
  method: string,
  params: XmlValue[],
  headers: Record<string, string> = {},
): Promise<XmlValue> {
  return decodeResponse(await (await post(encodeCall(method, params), headers)).text());
}

/** Headers of a session's calls. */
async function logIn(): Promise<(callnum: number) => Record<string, string>> {
  const reply = (await call('login', ['kmod-gate', 'gate-password'])) as XmlStruct;
  const [id, key] = [String(reply['session-id']), String(reply['session-key'])];
  return (callnum) => ({
    'Koji-Session-Id': id,
    'Koji-Session-Key': key,
    'Koji-Session-Callnum': String(callnum),
  });
}

describe('serveWorld', () => {
  it('answers calls, in a session or without, and notes them', async () => {
    await serve();
    expect(await call('getLoggedInUser', [])).toBeNull();
    const session = await logIn();
    expect(await call('getLoggedInUser', [], session(0))).toMatchObject({ name: 'kmod-gate' });
    await call('multiCall', [[{ methodName: 'getAPIVersion', params: [] }]]);
    expect(server.requests.map(({ method, inner }) => [method, inner])).toEqual([
      ['getLoggedInUser', []],
      ['login', []],
      ['getLoggedInUser', []],
      ['multiCall', ['getAPIVersion']],
    ]);
  });

  it('sends faults with status 200, and packs replies for who takes them packed', async () => {
    await serve();
    const fault = await post(encodeCall('getTag', ['nowhere', { strict: true, __starstar: true }]));
    expect(fault.status).toBe(200);
    const text = await fault.text();
    expect(() => decodeResponse(text)).toThrow('fault 1000: No such tagInfo');
    const plain = await post(encodeCall('getAPIVersion', []), { 'Accept-Encoding': 'identity' });
    expect(plain.headers.get('content-encoding')).toBeNull();
    const packed = await post(encodeCall('getAPIVersion', []), { 'Accept-Encoding': 'gzip' });
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(decodeResponse(await packed.text())).toBe(1);
  });

  it('refuses what is no POST, and no XML', async () => {
    await serve();
    expect((await fetch(server.url)).status).toBe(405);
    const bad = await post('<methodCall><methodName>');
    expect([bad.status, bad.headers.get('content-type')]).toEqual([400, 'text/plain']);
    expect(server.requests).toEqual([]);
  });

  it('loses requests before they did anything, or replies after', async () => {
    await serve((method, n) => (method !== 'untagBuild' ? 'none' : n === 2 ? 'drop-before' : 'drop-after'));
    const session = await logIn();
    const untag = encodeCall('untagBuild', ['c9s-candidate', OLD]);
    await expect(post(untag, session(0))).rejects.toThrow();
    expect(world.tags(OLD)).toContain('c9s-candidate');
    await expect(post(untag, session(1))).rejects.toThrow();
    expect(world.tags(OLD)).not.toContain('c9s-candidate');
  });

  it('answers as a proxy without its hub, and as a hub that is down', async () => {
    await serve((_method, n) => (n === 1 ? 'html-502' : 'offline'));
    const gateway = await post(encodeCall('getAPIVersion', []));
    expect([gateway.status, gateway.headers.get('content-type')]).toEqual([502, 'text/html']);
    await expect(call('getAPIVersion', [])).rejects.toThrow('fault 1014');
  });
});
