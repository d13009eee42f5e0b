/**
 * Notices as webhooks: JSON by a template, signed as the Standard Webhooks specification has it (HMAC-SHA256 of id, time
 * and body), so that receivers find a library for it.
 */
import { createHmac } from 'node:crypto';
import type { WebhookSettings } from '../config/notice.ts';
import { visible } from '../report/visible.ts';
import { TellError } from './channel.ts';
import { headersIn, sendJson } from './http.ts';
import type { Notice } from './notice.ts';
import { htmlText, jiraText, markdownText, plainText, slackText } from './render.ts';
import { secretIn } from './secret.ts';

/**
 * Send a notice. Comes back once the receiver has answered 2xx.
 * @param id the same if it is sent again
 * @param owner whom it is for; empty: nobody in particular
 * @throws TellError, for good where the receiver will not have it
 */
export async function sendWebhook(
  to: WebhookSettings,
  notice: Notice,
  { id, owner }: { readonly id: string; readonly owner: string },
  now = Date.now(),
): Promise<void> {
  const body = JSON.stringify(
    to.body ? filled(to.body, valuesOf(notice, id, owner)) : { id, ...notice, text: plainText(notice) },
  );
  const address = await addressOf(to, id);
  const signed =
    to.secret_file === undefined ? {} : signatureOf(await secretIn(to.secret_file), id, body, now);
  await sendJson({
    ...{ what: 'webhook', url: address, method: to.method, body, timeout: to.timeout },
    headers: { ...to.headers, ...(await headersIn(to.header_files)), ...signed },
  });
}

/** `{id}` in the address is replaced too: Matrix takes the id of a message there, and shows one only once. */
async function addressOf({ url, url_file }: WebhookSettings, id: string): Promise<URL> {
  const text = url ?? (url_file === undefined ? '' : await secretIn(url_file));
  const address = text.replaceAll('{id}', id);
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol))
    throw new TellError(`${url_file ?? 'the webhook'}: holds no http:// or https:// URL`);
  return new URL(address);
}

/** The three headers of a signed webhook. A secret is text, or bytes as `whsec_BASE64`. */
export function signatureOf(secret: string, id: string, body: string, now: number): Record<string, string> {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret;
  const at = Math.floor(now / 1_000);
  const signature = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` };
}

type Values = Readonly<Record<string, () => string>>;

function valuesOf(notice: Notice, id: string, owner: string): Values {
  const { title, gate, kernel, verdict, url, kmods } = notice;
  return {
    id: () => id,
    title: () => visible(title),
    text: () => plainText(notice),
    markdown: () => markdownText(notice),
    slack: () => slackText(notice),
    html: () => htmlText(notice),
    jira: () => jiraText(notice),
    gate: () => visible(gate),
    kernel: () => visible(kernel),
    verdict: () => verdict,
    url: () => visible(url ?? ''),
    kmods: () => kmods.map(({ name }) => visible(name)).join(', '),
    owner: () => visible(owner),
  };
}

/** A template with its placeholders replaced, within texts alone: whatever a value holds, the JSON stays what it is. */
function filled(template: unknown, values: Values): unknown {
  if (typeof template === 'string')
    return template.replace(/\{(\w+)\}/g, (as, name: string) => values[name]?.() ?? as);
  if (Array.isArray(template)) return template.map((one) => filled(one, values));
  if (typeof template !== 'object' || template === null || template instanceof Date) return template;
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, filled(value, values)]));
}
