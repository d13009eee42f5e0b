/** CI messages on the bus: confirmed by the broker, in the envelope of fedora-messaging. */
import type { Logger } from 'pino';
import type { BrokerOptions } from '../bus/broker.ts';
import type { BusMessage } from '../bus/message.ts';
import { connectPublisher, type Publisher } from '../bus/publisher.ts';
import type { MessageSettings } from '../config/tell.ts';
import type { Outgoing } from '../store/outbox.ts';
import { type Channel, messageId, TellError } from './channel.ts';
import { type CiMessage, ciMessage, KIND_OF } from './cimessage.ts';
import { partsOf } from './result.ts';
import { buildReader, linksOf, runOf, type Sources, verdictOf } from './subject.ts';

/** Time for the broker to confirm a message, ms: one that is short of memory or disk confirms nothing. */
const CONFIRM = 15_000;

/** @param broker how to reach it */
export function busChannel(
  to: MessageSettings,
  broker: BrokerOptions,
  sources: Sources,
  log: Logger,
): Channel {
  const { store } = sources;
  const buildOf = buildReader(sources.hub);
  let publisher: Promise<Publisher> | undefined;
  const letGo = async () => {
    const lost = publisher;
    publisher = undefined;
    await lost?.then((one) => one.close()).catch(() => {});
  };
  return {
    name: 'messages',
    tells: ['queued', 'running', 'verdict', 'over'],
    ordered: true,
    gather: 0,
    async divide(row) {
      return partsOf(row, await runOf(sources, row), await verdictOf(sources, row), to.kmods);
    },
    async deliver(row) {
      const body = await messageOf(row);
      const message = envelope(to.topic, messageId(store.installation, row), row, body);
      publisher ??= connectPublisher(
        { ...broker, exchange: to.exchange, declare: false, timeout: CONFIRM },
        log,
      );
      try {
        await (await publisher).publish(message);
      } catch (error) {
        // A channel that once refused, or is lost, stays so.
        await letGo();
        throw new TellError(error instanceof Error ? error.message : String(error), { cause: error });
      }
      return undefined;
    },
    close: letGo,
  };

  async function messageOf(row: Outgoing): Promise<CiMessage> {
    const [run, verdict] = [await runOf(sources, row), await verdictOf(sources, row)];
    const build = await buildOf(run.kernel.id);
    const closing = row.what === 'over' ? await store.closingTold(row.run, row.fact) : undefined;
    return ciMessage(
      {
        ...{ row, run, verdict },
        task: build?.task_id ?? null,
        issuer: build?.owner_name ?? 'unknown',
        why: closing ? `${closing.how}: ${closing.why}` : '',
        at: row.madeAt + sources.ahead(),
        ...linksOf(sources.pages, run, row.part),
        pipeline: messageId(store.installation, { ...row, fact: 0, what: 'queued', part: '' }),
      },
      to,
    );
  }
}

/** `fedora_messaging.message.INFO`. */
const INFO = 20;

/** As fedora-messaging's receivers want it; the schema is that of any message, as theirs of CI messages have none. */
export function envelope(
  topic: string,
  id: string,
  { what }: Pick<Outgoing, 'what'>,
  body: CiMessage,
  now = Date.now(),
): BusMessage {
  return {
    routingKey: `${topic}.koji-build.test.${KIND_OF[what]}`,
    headers: {
      fedora_messaging_schema: 'base.message',
      fedora_messaging_severity: INFO,
      [`fedora_messaging_rpm_${body.artifact.component}`]: true,
      priority: 0,
      'sent-at': new Date(now).toISOString().replace(/\.\d+Z$/, '+00:00'),
    },
    properties: { messageId: id, contentType: 'application/json', contentEncoding: 'utf-8' },
    body: Buffer.from(JSON.stringify(body)),
  };
}
