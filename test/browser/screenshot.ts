/**
 * `npm run screenshot`: the first page with the demo's kernels, as the README shows it.
 * With a folder as argument: every page there, wide and narrow, light and dark.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { CHROMIUM, LAUNCH, PAGES } from './chromium.ts';
import { openDemo } from './demo.ts';

const [folder] = process.argv.slice(2);
const demo = await openDemo();
const browser = await chromium.launch(LAUNCH);
if (folder === undefined) {
  const page = await browser.newPage({ viewport: { width: 960, height: 800 } });
  await page.goto(demo.url);
  await page.screenshot({ path: 'docs/matrix.png' });
  process.stdout.write(`docs/matrix.png, by ${CHROMIUM}\n`);
} else {
  mkdirSync(folder, { recursive: true });
  for (const width of [360, 1440])
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(`${demo.url}${path}`);
        await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
      await page.close();
    }
}
await browser.close();
await demo.close();
