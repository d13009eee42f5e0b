/** How the bus client is told what [bus] says. */
import type { Logger } from 'pino';
import type { BrokerOptions } from '../bus/broker.ts';
import { type ConsumerOptions, startConsumer } from '../bus/consumer.ts';
import { startConsumer10 } from '../bus/consumer10.ts';
import type { Consumer, OnHint } from '../bus/intake.ts';
import type { BusSettings } from '../config/config.ts';
import { readCertificates } from '../koji/certificates.ts';

/** @returns how to reach the broker; its `tls` throws SettingsError for files that cannot be used */
export function brokerOptions(bus: BusSettings): BrokerOptions {
  const { url, login, client_properties, cert, key, serverca } = bus;
  if (cert === undefined && serverca === undefined) return { url, client_properties };
  const files = {
    ...{ table: 'bus' as const },
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverca !== undefined && { serverca }),
  };
  const tls = () =>
    readCertificates(files, Date.now()).client as ReturnType<NonNullable<BrokerOptions['tls']>>;
  return { url, login, client_properties, tls };
}

/** @param onSubscribed as of ConsumerOptions */
export function consumerOptions(bus: BusSettings, onSubscribed: () => void): ConsumerOptions {
  return { ...bus, ...brokerOptions(bus), onSubscribed };
}

/** Listen as [bus] says, in the AMQP that the broker speaks. @throws as consumers do */
export function listenTo(bus: BusSettings, onSubscribed: () => void, onHint: OnHint, log: Logger): Consumer {
  const options = consumerOptions(bus, onSubscribed);
  const { addresses } = bus;
  return addresses
    ? startConsumer10({ ...options, addresses }, onHint, log)
    : startConsumer(options, onHint, log);
}
