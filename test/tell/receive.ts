/** A real subscriber of CI messages, and what their schemas say of them. */
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { ConsumeMessage } from 'amqplib';
import { closeQuietly, connectBroker, parseBroker } from '../../src/bus/broker.ts';
import type { CiMessage } from '../../src/tell/cimessage.ts';
import { RABBIT_URL } from '../services.ts';

const SCHEMAS = new URL('../../docs/schemas/', import.meta.url);
const KINDS = ['queued', 'running', 'complete', 'error'];
const schema = (name: string) => JSON.parse(readFileSync(new URL(name, SCHEMAS), 'utf8'));

const ajv = new Ajv({ allErrors: true, strict: true, strictRequired: false, strictTypes: false });
addFormats.default(ajv);
ajv.addSchema(schema('common.json'));
const validators = new Map(
  KINDS.map((kind) => [kind, ajv.compile(schema(`koji-build.test.${kind}.json`))] as const),
);

/** What is wrong with a message by its schema; empty: nothing. */
export function mistakes(routingKey: string, body: unknown): string[] {
  const validate = validators.get(/\.koji-build\.test\.(\w+)$/.exec(routingKey)?.[1] ?? '');
  if (!validate) return [`${routingKey}: not the topic of a CI message`];
  return validate(body) ? [] : (validate.errors ?? []).map((one) => `${one.instancePath} ${one.message}`);
}

export interface Received {
  readonly id: string;
  readonly topic: string;
  readonly raw: ConsumeMessage;
  readonly body: CiMessage;
}

/** An exchange of its own, and a queue that hears all of it. */
export async function subscribe(exchange: string) {
  const model = await connectBroker(parseBroker(RABBIT_URL));
  const channel = await model.createChannel();
  await channel.assertExchange(exchange, 'topic', { durable: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, '#');
  const received: Received[] = [];
  await channel.consume(
    queue,
    (raw) => {
      if (!raw) return;
      const body = JSON.parse(raw.content.toString('utf8')) as CiMessage;
      received.push({ id: raw.properties.messageId, topic: raw.fields.routingKey, raw, body });
    },
    { noAck: true },
  );
  return {
    received,
    /** `queued`, `complete passed`, `complete kmod-foo failed`. */
    said: () =>
      received.map(({ topic, body: { test } }) =>
        [topic.split('.').at(-1), test.scenario, test.result].filter((word) => word).join(' '),
      ),
    async close() {
      await channel.deleteExchange(exchange);
      await closeQuietly(model);
    },
  };
}
