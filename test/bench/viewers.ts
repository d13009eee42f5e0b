/** Viewers of a dashboard, in a thread of their own: each hears of changes, and fetches the page as the script in it does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

const { url, viewers } = workerData as { readonly url: string; readonly viewers: number };
let pages = 0;
let bytes = 0;

async function view(): Promise<void> {
  const events = await fetch(`${url}/events?of=all`);
  parentPort?.postMessage('there');
  let etag = '';
  let waits = false;
  for await (const chunk of events.body ?? []) {
    if (waits || !new TextDecoder().decode(chunk).includes('event: change')) continue;
    waits = true;
    void (async () => {
      await sleep(250 + Math.random() * 1_750);
      waits = false;
      const page = await fetch(url, { headers: { 'if-none-match': etag } });
      etag = page.headers.get('etag') ?? '';
      bytes += (await page.arrayBuffer()).byteLength;
      pages += 1;
    })();
  }
}

parentPort?.on('message', () => parentPort?.postMessage({ pages, bytes }));
for (let i = 0; i < viewers; i++) void view().catch(() => {});
