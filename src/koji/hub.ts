/** What the rest of the program may ask of a Koji hub: calls are data, the hub carries them out. */
import type { z } from 'zod';
import type { XmlValue } from './xmlrpc.ts';

/**
 * One XML-RPC call and the schema that its reply must meet.
 * `params` are positional; keyword arguments are a last struct with `__starstar: true`.
 */
export interface Call<T> {
  readonly method: string;
  readonly params: readonly XmlValue[];
  readonly reply: z.ZodType<T>;
}

/** Result of one call in a group: its value, or the fault that it alone met. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: HubError };

/** Results of a group of calls, in their order. */
export type Answers<C extends readonly Call<unknown>[]> = {
  -readonly [K in keyof C]: C[K] extends Call<infer T> ? Answer<T> : never;
};

/** The three answers that are not a value; each wants another handling. */
export type HubErrorKind =
  /** The hub said no: asking again changes nothing. */
  | 'refused'
  /** Nobody answered, or not now; nothing was done. May be tried again. */
  | 'unavailable'
  /** A write was sent and its reply lost: look for its effect before trying again. */
  | 'unknown';

/** An error of a call to the hub. `code` is Koji's faultCode where the hub sent one. */
export class HubError extends Error {
  override readonly name = 'HubError';
  readonly kind: HubErrorKind;
  readonly method: string;
  readonly code: number | undefined;

  constructor(
    kind: HubErrorKind,
    method: string,
    message: string,
    options: { code?: number; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.kind = kind;
    this.method = method;
    this.code = options.code;
  }
}

/** koji.GenericError. */
const GENERIC = 1000;

/**
 * Whether the hub knows no such thing, or has no such file any more. What else it refuses may pass, or is for people to
 * mend, and proves nothing.
 */
export const isUnknown = (error: unknown): error is HubError =>
  error instanceof HubError &&
  error.kind === 'refused' &&
  error.cause === undefined &&
  (error.code ?? GENERIC) === GENERIC;

/** Whether the hub has no such method: it is too old, or a plugin is off. */
export const isNoMethod = (error: unknown): error is HubError =>
  error instanceof HubError && error.kind === 'refused' && /Invalid method/.test(error.message);

/** A login or a way to the hub that cannot work as it is set; the message says which, why, and what to do. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** The value of an answer. Throws its HubError where it has none. */
export function unwrap<T>(answer: Answer<T> | undefined): T {
  if (!answer) throw new Error('fewer answers than calls');
  if (!answer.ok) throw answer.error;
  return answer.value;
}

/** What each group of reads answers, in one request for them all. Throws the HubError of any that has no value. */
export async function readGroups<G extends Readonly<Record<string, readonly Call<unknown>[]>>>(
  hub: Pick<Hub, 'readAll'>,
  groups: G,
): Promise<{ readonly [K in keyof G]: readonly Value<G[K][number]>[] }> {
  const values = (await hub.readAll(Object.values(groups).flat())).map(unwrap);
  const parts = Object.entries(groups).map(([name, { length }]) => [name, values.splice(0, length)]);
  return Object.fromEntries(parts);
}

type Value<C> = C extends Call<infer T> ? T : never;

/** A Koji hub. Reads go anonymously and side by side, writes in order through one session. */
export interface Hub {
  /** Ask without a session, up to three times. Throws HubError. */
  read<T>(call: Call<T>): Promise<T>;
  /**
   * Reads by `multiCall`, a hundred a request; one failing call does not fail the others.
   * Throws HubError if the hub does not answer at all.
   */
  readAll<C extends readonly Call<unknown>[]>(calls: readonly [...C]): Promise<Answers<C>>;
  /**
   * Call within the session, in order, and never twice. Throws HubError. Also for reads that need a user, and
   * for those that look for the effect of an earlier write of this process whose answer is `unknown`: the session
   * of such a write is ended first, so that it can no longer happen, and what the read sees is final.
   * @param permit asked at the last moment, when a connection is there: what it throws is the call's error, and nothing was sent
   */
  write<T>(call: Call<T>, permit?: () => void): Promise<T>;
  /** A group of writes in one `multiCall`, which is one transaction. Throws like `write`. */
  writeAll<C extends readonly Call<unknown>[]>(
    calls: readonly [...C],
    permit?: () => void,
  ): Promise<Answers<C>>;
  /** How far the hub's clock was ahead of this one at its newest reply, in ms, to about a second. */
  skew(): number | undefined;
  /** Abort what is under way, log out, and let connections go. */
  close(): Promise<void>;
}
