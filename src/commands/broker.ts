/** How the bus client is told what [bus] says. */
import type { BrokerOptions } from '../bus/broker.ts';
import type { ConsumerOptions } from '../bus/consumer.ts';
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
