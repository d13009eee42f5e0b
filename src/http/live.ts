/** Pages that stay as new as the store: the server says that something changed, and the page is fetched again. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type Html, html } from './html.ts';

/**
 * The one script. A page works without it. What a reader has open, scrolled or begun to type stays; a page that nobody
 * looks at is not fetched.
 */
export const SCRIPT: Html = html`
(() => {
  const main = document.querySelector('main');
  const about = main.dataset.live;
  if (!about || !window.EventSource) return;
  let timer, busy = false, missed = false;
  const soon = () => {
    if (document.hidden) { missed = true; return; }
    timer ??= setTimeout(renew, 250 + Math.random() * 1750);
  };
  async function renew() {
    timer = undefined;
    if (busy || main.contains(document.activeElement) && document.activeElement.form) { timer = setTimeout(renew, 2000); return; }
    busy = true;
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
      if (next && next.innerHTML !== main.innerHTML) replace(next);
    } catch { } finally { busy = false; }
  }
  const keyOf = (one) => one.querySelector('summary').textContent.replace(/\\d+/g, '');
  function replace(next) {
    const open = [...main.querySelectorAll('details')].filter((one) => one.open).map(keyOf);
    const shut = [...main.querySelectorAll('details')].filter((one) => !one.open).map(keyOf);
    const places = [...main.querySelectorAll('.scroll')].map((one) => one.scrollLeft);
    const links = 'a, summary, [tabindex]';
    const focused = [...main.querySelectorAll(links)].indexOf(document.activeElement);
    const href = focused < 0 ? null : document.activeElement.getAttribute('href');
    main.replaceChildren(...next.childNodes);
    for (const one of main.querySelectorAll('details')) {
      if (open.includes(keyOf(one))) one.open = true;
      else if (shut.includes(keyOf(one))) one.open = false;
    }
    main.querySelectorAll('.scroll').forEach((one, i) => { one.scrollLeft = places[i] || 0; });
    const again = [...main.querySelectorAll(links)];
    const same = href && again.find((one) => one.getAttribute('href') === href);
    if (focused >= 0) (same || again[focused] || main).focus({ preventScroll: true });
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden && missed) { missed = false; soon(); } });
  const source = new EventSource('/events?of=' + encodeURIComponent(about));
  let known;
  source.addEventListener('hello', (event) => { if (known && known !== event.data) soon(); known = event.data; });
  source.addEventListener('change', soon);
  setInterval(soon, 60000);
})();
`;

/** So many viewers are told at the same time; others have the page as it is, and fetch it once a minute. */
const VIEWERS = 500;
/** Changes that come together are told once, ms. */
const TOGETHER = 500;
/** A connection on which nothing is said may be cut by proxies, ms. */
const BREATH = 25_000;
/** A viewer that takes no more than this, in bytes, has gone. */
const BACKLOG = 64 * 1024;

/** Hears of changes: the kernel build that they are of, or null, of all. Call what is returned to hear no more. */
export type OnChange = (listener: (build: number | null) => void) => () => void;

/**
 * Serve `/events?of=all` and `/events?of=BUILD`: an event `change` whenever something was recorded of it.
 * @param edition another text for each start of the gate
 */
export function registerEvents(
  app: FastifyInstance,
  onChange: OnChange,
  edition: string,
  headers: Readonly<Record<string, string>>,
): void {
  const viewers = new Map<FastifyReply, string>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const tell = () => {
    timer = undefined;
    for (const [reply, of] of viewers)
      if (changed.has('all') && (of === 'all' || changed.has(of) || changed.has('every')))
        send(reply, 'event: change\ndata: 1\n\n');
    changed.clear();
  };
  const send = (reply: FastifyReply, text: string) => {
    reply.raw.write(text);
    if (reply.raw.writableLength > BACKLOG) reply.raw.destroy();
  };
  const deaf = onChange((build) => {
    if (viewers.size === 0) return;
    changed.add('all').add(build === null ? 'every' : String(build));
    timer ??= setTimeout(tell, TOGETHER);
  });
  const breath = setInterval(() => {
    for (const reply of viewers.keys()) send(reply, ':\n\n');
  }, BREATH);
  breath.unref();
  app.addHook('onClose', async () => {
    deaf();
    clearInterval(breath);
    clearTimeout(timer);
  });
  // Those who listen would keep the server from closing.
  app.addHook('preClose', async () => {
    for (const reply of viewers.keys()) reply.raw.destroy();
  });

  app.get<{ Querystring: { of?: string } }>('/events', async (request, reply) => {
    if (viewers.size >= VIEWERS)
      return reply
        .code(503)
        .headers({ ...headers, 'retry-after': '60' })
        .send({ error: 'too many viewers' });
    reply.hijack();
    reply.raw.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'x-accel-buffering': 'no',
    });
    viewers.set(reply, request.query.of ?? 'all');
    reply.raw.on('close', () => viewers.delete(reply));
    send(reply, `retry: 3000\nevent: hello\ndata: ${edition}\n\n`);
    return reply;
  });
}
