/** fedora-messaging's configuration (`/etc/fedora-messaging/config.toml`), as far as it says how to reach a broker. */

import { z } from 'zod';
import { readText } from '../files/read.ts';
import { ConfigError } from './error.ts';
import { maskUrl, parseToml } from './mistakes.ts';

/** What it says; absent is what it does not say. */
export interface FedoraMessaging {
  readonly url: string;
  readonly serverca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** It has a certificate and its key: then these say who comes, as its own client does it. */
  readonly login?: 'external';
  /** False where it declares passively. */
  readonly declare?: false;
  /** Of the gate's queue; absent: it has none, or one that the broker names. */
  readonly queue?: string;
  readonly durable?: boolean;
  readonly auto_delete?: boolean;
  readonly exclusive?: boolean;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly exchange?: string;
  readonly bindings?: readonly string[];
  readonly prefetch?: number;
  readonly client_properties?: Readonly<Record<string, string | readonly string[]>>;
}

/** The file cannot be used; the message names it, and says what to do. */
export class FedoraMessagingError extends Error {
  override readonly name = 'FedoraMessagingError';
}

const binding = z.object({
  queue: z.string().optional(),
  exchange: z.string(),
  routing_keys: z.array(z.string()),
});
const queue = z.object({
  durable: z.boolean().optional(),
  auto_delete: z.boolean().optional(),
  exclusive: z.boolean().optional(),
  arguments: z.record(z.string(), z.unknown()).optional(),
});

/** What else is in it (the callback, the log) says nothing to a gate. */
const File = z.object({
  amqp_url: z.string().default('amqp://'),
  passive_declares: z.boolean().default(false),
  tls: z
    .object({
      ca_cert: z.string().optional(),
      certfile: z.string().optional(),
      keyfile: z.string().optional(),
    })
    .default({}),
  queues: z.record(z.string(), queue).default({}),
  bindings: z.union([binding.transform((one) => [one]), z.array(binding)]).default([]),
  qos: z.object({ prefetch_count: z.int().min(1).max(65_535).optional() }).default({}),
  client_properties: z.record(z.string(), z.unknown()).default({}),
});

/**
 * Read it.
 * @param wanted the queue that the gate's configuration names; without it there must be no more than one
 * @throws FedoraMessagingError
 */
export function readFedoraMessaging(path: string, wanted: string | undefined): FedoraMessaging {
  const wrong = (why: string): never => {
    throw new FedoraMessagingError(`${path}: ${why}`);
  };
  const { data, error } = File.safeParse(parse(path, wrong));
  if (!data) {
    const [issue] = error.issues;
    return wrong(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { tls, qos, passive_declares } = data;
  const named = Object.keys(data.queues).filter((name) => name !== '');
  if (wanted === undefined && named.length > 1)
    wrong(`has several queues (${named.join(', ')}); say which is the gate's with queue in [bus]`);
  const name = wanted ?? named[0];
  const { durable, auto_delete, exclusive, arguments: more } = data.queues[name ?? ''] ?? {};
  const bindings = data.bindings.filter((one) => (one.queue || name) === name);
  const exchanges = [...new Set(bindings.map(({ exchange }) => exchange))];
  if (exchanges.length > 1)
    wrong(`binds the queue to several exchanges (${exchanges.join(', ')}); a gate hears one`);
  const keys = [...new Set(bindings.flatMap(({ routing_keys }) => routing_keys))];
  const { ca_cert: serverca, certfile: cert, keyfile: key } = tls;
  return {
    url: addressOf(data.amqp_url, wrong),
    ...(serverca !== undefined && { serverca }),
    ...(cert !== undefined && key !== undefined && { cert, key, login: 'external' as const }),
    ...(passive_declares && { declare: false as const }),
    ...(name !== undefined && { queue: name }),
    ...(durable !== undefined && { durable }),
    ...(auto_delete !== undefined && { auto_delete }),
    ...(exclusive !== undefined && { exclusive }),
    ...(more !== undefined && { arguments: more }),
    ...(exchanges[0] !== undefined && { exchange: exchanges[0] }),
    ...(keys.length > 0 && { bindings: keys }),
    ...(qos.prefetch_count !== undefined && { prefetch: qos.prefetch_count }),
    client_properties: textsOf(data.client_properties),
  };
}

function parse(path: string, wrong: (why: string) => never): unknown {
  try {
    return parseToml(readText(path), path);
  } catch (error) {
    if (error instanceof ConfigError) {
      const [mistake] = error.mistakes;
      return wrong(`line ${mistake?.line}: ${mistake?.message}`);
    }
    return wrong(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Its URL without what is meant for pika, its AMQP library; a host that is not named is this one, as pika has it. */
function addressOf(text: string, wrong: (why: string) => never): string {
  const [, protocol, login = '', host = '', path = ''] =
    /^(amqps?:\/\/)(?:([^/?#]*)@)?([^/?#@]*)(\/[^?#]*)?/.exec(text) ?? [];
  if (protocol === undefined) return wrong(`amqp_url: ${maskUrl(text)} is no amqp:// or amqps:// URL`);
  const url = `${protocol}${login && `${login}@`}${host || 'localhost'}${path}`;
  return URL.canParse(url) ? url : wrong(`amqp_url: ${maskUrl(text)} is no amqp:// or amqps:// URL`);
}

/** Names that its library keeps for itself are left out. */
function textsOf(properties: Readonly<Record<string, unknown>>): Record<string, string | string[]> {
  const isText = (value: unknown): value is string | string[] =>
    typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string'));
  const OWN = ['product', 'information', 'version'];
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, value]) =>
      !OWN.includes(key) && isText(value) ? [[key, value] as const] : [],
    ),
  );
}
