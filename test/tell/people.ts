/** Where notices go: a real SMTP server and a receiver of webhooks, which write down what comes. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { MailSettings, NoticeSettings } from '../../src/config/notice.ts';

export interface Letter {
  readonly from: string;
  readonly to: readonly string[];
  readonly raw: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** @param refuse what is answered to an address; undefined: it is taken */
export async function mailbox(refuse: (address: string) => Error | undefined = () => undefined) {
  const letters: Letter[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    logger: false,
    onRcptTo: ({ address }, _session, answer) => answer(refuse(address)),
    onData(stream, { envelope }, answer) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = envelope;
        const to = rcptTo.map(({ address }) => address);
        letters.push(letter(mailFrom ? mailFrom.address : '', to, Buffer.concat(chunks).toString('utf8')));
        answer();
      });
    },
  });
  server.on('error', () => {});
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  const settings: MailSettings = {
    ...{ host: '127.0.0.1', port, secure: false, plaintext: false, timeout: 5_000 },
    ...{ from: 'gate@example.org', name: 'kmod-gate' },
  };
  return {
    letters,
    settings,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A mail taken apart: headers unfolded and decoded, the body decoded. */
function letter(from: string, to: readonly string[], raw: string): Letter {
  const [head = '', ...rest] = raw.split('\r\n\r\n');
  const lines = head.replace(/\r\n[ \t]+/g, ' ').split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const [, name = '', value = ''] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
      return [name.toLowerCase(), words(value)];
    }),
  );
  const body = rest.join('\r\n\r\n');
  const how = headers['content-transfer-encoding'];
  const bytes =
    how === 'base64'
      ? Buffer.from(body, 'base64')
      : how === 'quoted-printable'
        ? Buffer.from(
            body
              .replace(/=\r\n/g, '')
              .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
            'latin1',
          )
        : Buffer.from(body, 'utf8');
  return { from, to, raw, headers, text: bytes.toString('utf8').replaceAll('\r\n', '\n') };
}

/** RFC 2047. */
const words = (value: string): string =>
  value.replace(/\?= =\?/g, '?==?').replace(/=\?utf-8\?([QB])\?(.*?)\?=/gi, (_, how: string, text: string) =>
    how.toUpperCase() === 'B'
      ? Buffer.from(text, 'base64').toString('utf8')
      : Buffer.from(
          text
            .replaceAll('_', ' ')
            .replace(/=([0-9A-F]{2})/gi, (__, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
          'latin1',
        ).toString('utf8'),
  );

export interface Delivery {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: string;
  readonly body: Record<string, unknown>;
}

/** @param answer the status of each request, in order; undefined: 200 */
export async function receiver(answer: (delivery: Delivery) => number | undefined = () => undefined) {
  const deliveries: Delivery[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const raw = Buffer.concat(chunks).toString('utf8');
      const { method = '', url: path = '', headers } = request;
      const delivery = { method, path, headers, raw, body: JSON.parse(raw) };
      const status = answer(delivery) ?? 200;
      if (status === 200) deliveries.push(delivery);
      response.writeHead(status).end(status === 200 ? '{}' : '<b>no</b>\u001b[31m');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    deliveries,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const NOTICE: NoticeSettings = {
  ...{ name: 'team', about: 'kernel', gates: ['*'], on: ['block', 'hold', 'mended'], gather: 120_000 },
  ...{ outcomes: ['broken', 'unattributed'], quiet: [], mail: [], owners: false, addresses: {} },
};
export const HOOK: NonNullable<NoticeSettings['webhook']> = {
  ...{ method: 'POST', headers: {}, header_files: {}, timeout: 5_000 },
};
