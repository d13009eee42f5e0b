/** A gate elsewhere, by its API: what is known there, and what people say to it. */

import { statSync } from 'node:fs';
import type { z } from 'zod';
import { otherHost } from '../config/rules.ts';
import { readText, SECRET_MAX } from '../files/read.ts';
import { explanation, kmodHistory, runPage, waivers } from '../http/reportschemas.ts';
import { answer, gates, LISTED_MOST, PREFIX, refusal } from '../http/routes.ts';
import type { RunLine, RunsWanted } from '../report/report.ts';
import { CheckError } from './error.ts';
import { noSuchWaiver } from './people.ts';
import type { Speaker } from './place.ts';
import type { Records } from './records.ts';
import type { Output } from './text.ts';

export interface RemoteOptions {
  /** The token may go over http:// to another host. */
  readonly plaintext: boolean;
  readonly tokenFile?: string;
}

/** So long a gate may take for an answer, in ms. */
const PATIENCE = 60_000;

/**
 * Reach a gate elsewhere; nothing is asked yet.
 * @param server URL of its dashboard
 * @param env may have the token, in KMOD_GATE_TOKEN
 * @throws CheckError for a URL or a token that cannot be used, or a token that everybody on the way could read
 */
export function connectGate(
  server: string,
  { plaintext, tokenFile }: RemoteOptions,
  env: NodeJS.ProcessEnv,
): { readonly records: Records; readonly speaker: Speaker } {
  const base = baseOf(server);
  const token = tokenOf(tokenFile, env);
  if (token !== undefined && otherHost(server, 'http:') && !plaintext)
    throw new CheckError(
      `--server ${server}: http:// to ${base.host} lets everybody on the way read the token: use https://, or say --plaintext where that is meant`,
    );
  const ask = asking(base, token);
  const post = async (kind: string, body: unknown, output: Output): Promise<void> => {
    if (token === undefined) throw new CheckError(NO_TOKEN);
    const { said } = read(base, answer, await ask(`/${kind}`, body));
    output.write(`${said.join('\n')}\n`);
  };
  return {
    records: {
      async runs(wanted) {
        const all: RunLine[] = [];
        let { before } = wanted;
        while (true) {
          const limit = Math.min(wanted.limit - all.length, LISTED_MOST);
          const page = orMissing(base, runPage, await ask(`/runs?${queryOf({ ...wanted, limit, before })}`));
          if (!page) return undefined;
          all.push(...page.runs);
          if (page.older === null || all.length >= wanted.limit) return { runs: all, older: page.older };
          before = page.older;
        }
      },
      explain: async (subject) =>
        orMissing(base, explanation, await ask(`/kernels/${encodeURIComponent(subject)}`)),
      waivers: async () => [...read(base, waivers, await ask('/waivers')).waivers],
      kmod: async (name) => orMissing(base, kmodHistory, await ask(`/kmods/${encodeURIComponent(name)}`)),
      gates: async () => read(base, gates, await ask('/gates')).gates,
      near: async () => '',
    },
    speaker: {
      async waive(output, { kernel, kmod, reason, until, gate, allKmods, by }) {
        assertNobody(by);
        await post('waive', { kernel, kmod, reason, until, gate, all_kmods: allKmods }, output);
      },
      async unwaive(output, id, by) {
        assertNobody(by);
        if (!/^[1-9]\d{0,14}$/.test(id)) throw new CheckError(noSuchWaiver(id));
        await post('unwaive', { id: Number(id) }, output);
      },
      async order(output, kind, kernel, { reason, gate, kmod, by }) {
        assertNobody(by);
        await post(kind, { kernel, reason, gate, kmod }, output);
      },
    },
  };
}

function queryOf(wanted: RunsWanted): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) if (value !== undefined) query.set(name, String(value));
  return query;
}

function baseOf(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new CheckError(`--server: expected the http:// or https:// URL of a gate's dashboard`);
  if (url.username || url.password || url.search || url.hash)
    throw new CheckError(
      '--server: a URL without a user, a password and a query; the token goes into KMOD_GATE_TOKEN or --token-file',
    );
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

const NO_TOKEN =
  'who speaks? put your token into KMOD_GATE_TOKEN, or its file into --token-file; "kmod-gate token new NAME", there, makes one';

function assertNobody(by: string | undefined): void {
  if (by !== undefined) throw new CheckError('--by: with --server the token says who speaks; leave it out');
}

/** Undefined: nobody has given one. No message has it. */
function tokenOf(file: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  const token = file === undefined ? env['KMOD_GATE_TOKEN'] : readToken(file);
  if (token === undefined || token === '') return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new CheckError(
    `${file ?? 'KMOD_GATE_TOKEN'}: holds no token: that is one word of letters and digits`,
  );
}

function readToken(file: string): string {
  try {
    if (process.getuid && (statSync(file).mode & 0o077) !== 0)
      throw new CheckError(`${file}: others may read the token in it; "chmod 600" it`);
    return readText(file, SECRET_MAX).trim();
  } catch (cause) {
    if (cause instanceof CheckError) throw cause;
    throw new CheckError(`--token-file ${file}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

interface Found {
  readonly status: number;
  readonly data: unknown;
}

/** Most bytes of an answer: a run with all its kmods has some hundred thousand. */
const LONGEST = 64 * 1024 * 1024;

async function jsonOf(response: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > LONGEST) throw new Error('the answer is too long');
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

/** Asks a route below PREFIX; with a body it is told. Throws CheckError for all but 200 and 404. */
function asking(base: URL, token: string | undefined) {
  return async (path: string, body?: unknown): Promise<Found> => {
    const response = await fetch(new URL(`.${PREFIX}${path}`, base), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // A token goes nowhere but where it was meant to go.
      redirect: 'manual',
      signal: AbortSignal.timeout(PATIENCE),
    }).catch((cause: unknown) => {
      throw new CheckError(`${base.href}: does not answer: ${whyOf(cause)}`, { cause });
    });
    const data: unknown = await jsonOf(response).catch(() => undefined);
    const { status } = response;
    if (status === 200) return { status, data };
    const no = refusal.safeParse(data);
    if (!no.success) throw new CheckError(`${base.href}: ${strangeAnswer(status)}`);
    if (status === 404) return { status, data };
    const { error, field } = no.data;
    throw new CheckError(
      status === 422 ? `${field === undefined ? '' : '--'}${error}` : `${base.href}: ${error}`,
    );
  };
}

const strangeAnswer = (status: number): string =>
  status >= 300 && status < 400
    ? `sends one on to another URL (HTTP ${status}), and no token goes there: name that in --server`
    : `HTTP ${status}, and not by kmod-gate's API: is that the URL of a gate's dashboard?`;

/** What undici has to say is in the cause. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `nothing came within ${PATIENCE / 1_000} s`;
  const { cause } = error;
  return cause instanceof Error
    ? ((cause.message || (cause as NodeJS.ErrnoException).code) ?? error.message)
    : error.message;
}

function read<T>(base: URL, schema: z.ZodType<T>, { status, data }: Found): T {
  if (status === 200 && schema.safeParse(data).success) return data as T;
  throw new CheckError(
    `${base.href}: does not answer as the API of this kmod-gate does; is it older, or something else?`,
  );
}

const orMissing = <T>(base: URL, schema: z.ZodType<T>, found: Found): T | undefined =>
  found.status === 404 ? undefined : read(base, schema, found);
