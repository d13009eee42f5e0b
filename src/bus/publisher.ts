/** Sends messages to the broker and waits until it has them. */
import type { ConfirmChannel } from 'amqplib';
import type { Logger } from 'pino';
import { closeQuietly, connectBroker, ensureExchange, explain, parseBroker } from './broker.ts';
import type { BusMessage } from './message.ts';

export interface Publisher {
  /** Resolves once the broker confirmed the message; rejects if it refused it or the connection went away. */
  publish(message: BusMessage): Promise<void>;
  close(): Promise<void>;
}

/**
 * Connects once; a publisher that lost its connection stays lost, and every `publish` says so.
 * @throws Error if the url is not a broker's address, or with the broker's words if it cannot be used
 */
export async function connectPublisher(
  { url, exchange }: { readonly url: string; readonly exchange: string },
  log?: Logger,
): Promise<Publisher> {
  const broker = parseBroker(url);
  const fail = (error: unknown): never => {
    throw new Error(`${broker.name}: ${explain(error).text}`);
  };
  const model = await connectBroker(broker).catch(fail);
  model.on('error', (error) => log?.warn(`publisher: ${explain(error).text}`));
  try {
    const channel = await model.createConfirmChannel();
    channel.on('error', (error) => log?.warn(`publisher: ${explain(error).text}`));
    await ensureExchange(channel, exchange);
    return {
      publish: (message) => send(channel, exchange, message).catch(fail),
      close: () => closeQuietly(model),
    };
  } catch (error) {
    await closeQuietly(model);
    return fail(error);
  }
}

function send(channel: ConfirmChannel, exchange: string, message: BusMessage): Promise<void> {
  const options = { ...message.properties, headers: message.headers, persistent: true };
  return new Promise((resolve, reject) => {
    channel.publish(exchange, message.routingKey, Buffer.from(message.body), options, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}
