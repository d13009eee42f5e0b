/** What a real hub answered, against test/recordings/koji-*expected.json; see test/recordings/expect.py. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Call, Hub, HubErrorKind } from '../../src/koji/hub.ts';
import { decodeCall, decodeResponse, type XmlStruct, type XmlValue } from '../../src/koji/xmlrpc.ts';
import { connectStub, rejection, type Stub, startStub } from './stub.ts';

interface Recording {
  readonly request: string;
  readonly request_headers: Readonly<Record<string, string>>;
  readonly response: string;
  readonly response_headers: Readonly<Record<string, string>>;
  readonly status: number;
}

interface Expected {
  readonly fault?: { readonly code: number };
  readonly kind?: HubErrorKind | readonly (HubErrorKind | null)[];
  readonly kindOfWrite?: HubErrorKind;
}

interface Witness {
  readonly rows: number;
  readonly first: XmlStruct;
  readonly last: XmlStruct;
  readonly sha256: string;
}

const recordings = new URL('../recordings/', import.meta.url);
const bytesOf = (path: string) => readFileSync(new URL(path, recordings));
const expected: Record<string, Expected> = JSON.parse(bytesOf('koji-expected.json').toString());
const large: Record<string, Witness> = JSON.parse(bytesOf('koji-large-expected.json').toString());
const recording = (file: string): Recording => JSON.parse(bytesOf(`koji/${file}`).toString());

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A hub that lets everybody in, and answers whatever it is asked with the bytes of one recording. */
async function replay({ status, response_headers, response }: Recording): Promise<[Hub, Stub]> {
  const packed = response_headers['Content-Encoding'] === 'gzip';
  const stub = await startStub((call) => {
    if (call.method === 'login') return { 'session-id': 1, 'session-key': 'key', 'header-auth': true };
    if (call.method === 'logout') return null;
    call.response.writeHead(status, response_headers).end(packed ? gzipSync(response) : response);
    return null;
  });
  const hub = connectStub(stub);
  cleanups.push(stub.close, () => hub.close());
  return [hub, stub];
}

/** The recorded call; its reply may be anything. */
const callOf = ({ request }: Recording): Call<unknown> => ({ ...decodeCall(request), reply: z.unknown() });

const faults = Object.entries(expected).filter(([, { fault }]) => fault !== undefined);

describe('a recorded fault is of its kind', () => {
  test.each(faults)('%s', async (file, { fault, kind }) => {
    const recorded = recording(file);
    const call = callOf(recorded);
    const [hub, stub] = await replay(recorded);
    const error = await rejection(hub.read(call));
    expect(error).toMatchObject({ name: 'HubError', kind, code: fault?.code, method: call.method });
    expect(stub.calls[0]).toMatchObject({ method: call.method, params: call.params });
  });

  const writes = faults.filter(([, { kindOfWrite }]) => kindOfWrite !== undefined);
  test.each(writes)('%s, through a session', async (file, { fault, kindOfWrite: kind }) => {
    const recorded = recording(file);
    const call = callOf(recorded);
    const [hub] = await replay(recorded);
    const error = await rejection(hub.write(call));
    expect(error).toMatchObject({ name: 'HubError', kind, code: fault?.code, method: call.method });
  });

  test('and what was recorded in a session has a kind for sessions', () => {
    const recordedInSession = faults.filter(([file]) => 'Koji-Session-Id' in recording(file).request_headers);
    expect(recordedInSession.length).toBeGreaterThan(0);
    expect(writes).toEqual(expect.arrayContaining(recordedInSession));
  });

  test('also one inside a multiCall', async () => {
    const file = '017-multiCall.json';
    const recorded = recording(file);
    const elements = callOf(recorded).params[0] as readonly { methodName: string; params: XmlValue[] }[];
    const calls = elements.map(({ methodName: method, params }) => ({ method, params, reply: z.unknown() }));
    const [hub] = await replay(recorded);
    const answers = await hub.readAll(calls);
    expect(answers.map((answer) => (answer.ok ? null : answer.error.kind))).toEqual(expected[file]?.kind);
    expect(answers[1]).toMatchObject({ error: { code: 1000, method: 'getTag' } });
  });
});

/** The text that `canonical` of test/recordings/expect.py makes of the value. */
function canonical(value: XmlValue): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
  }
  const plain = value === null || ['boolean', 'string'].includes(typeof value) || Number.isInteger(value);
  if (!plain) throw new TypeError(`no canonical text for ${value}`);
  return JSON.stringify(value);
}

/** getRPMHeaders answers with columns, getRPMDeps with rows. */
function rowsOf(value: XmlValue): readonly XmlValue[] {
  if (Array.isArray(value)) return value;
  const columns = Object.entries(value as Record<string, XmlValue[]>);
  const [first] = columns;
  return (first?.[1] ?? []).map((_, i) =>
    Object.fromEntries(columns.map(([name, column]) => [name, column[i] ?? null])),
  );
}

test.each(Object.entries(large))('%s reads as Python reads it', (file, witness) => {
  const value = decodeResponse(gunzipSync(bytesOf(`koji-large/${file}`)).toString());
  const rows = rowsOf(value);
  const sha256 = createHash('sha256').update(canonical(value)).digest('hex');
  expect({ rows: rows.length, first: rows[0], last: rows.at(-1), sha256 }).toEqual(witness);
});
