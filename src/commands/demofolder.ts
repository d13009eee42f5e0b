/** Where a demo that is served has its store and its configuration, so that the other commands work beside it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config/config.ts';
import { cacheFolder } from '../config/home.ts';
import { shellWord } from '../report/needs.ts';
import { NEXT_HEADER, NEXT_PATH } from './demoweb.ts';
import { CheckError } from './error.ts';
import { line, type Output } from './text.ts';

/** The scenario's and the gate's files, beside `src` and `dist` alike. */
const FILES = fileURLToPath(new URL('../../config/demo/', import.meta.url));
export const DEMO_CONFIG = join(FILES, 'kmod-gate.toml');
export const DEMO_SCENARIO = join(FILES, 'scenario.toml');

const CONFIG = 'demo.toml';
const STORE = 'demo.db';

/** @param said by `--folder`; undefined: the one in the user's cache */
export const demoFolder = (said: string | undefined, env: NodeJS.ProcessEnv = process.env): string =>
  said ?? join(cacheFolder(env), 'demo');

/**
 * A folder for a new demo: what an earlier one has left goes.
 * @param url of this demo's Koji, which listens already
 * @throws CheckError where another demo runs with it
 */
export async function clearDemo(folder: string, url: string): Promise<void> {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new CheckError(
      `${folder}: cannot be made: ${(error as Error).message}; name another with --folder`,
    );
  }
  const [, before] = /^server = "(.*)"$/m.exec(readIfThere(join(folder, CONFIG))) ?? [];
  // What listens where we do is no other.
  if (before !== undefined && before !== url && (await answers(before)))
    throw new CheckError(`a demo runs with ${folder} already; end it, or name another folder with --folder`);
  const left = readdirSync(folder).filter((name) => name === CONFIG || name.startsWith(STORE));
  for (const name of left) rmSync(join(folder, name), { force: true });
}

const readIfThere = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    () => true,
    () => false,
  );

/** Addresses of the Koji in memory. */
export interface DemoHub {
  readonly url: string;
  readonly topurl: string;
  readonly weburl: string;
}

/**
 * Write the demo's configuration with what is so of this one.
 * @param port of the dashboard; null: there is none
 * @returns the file
 */
export function writeDemoConfig(folder: string, hub: DemoHub, port: number | null): string {
  const hubLines = [`server = "${hub.url}"`, `topurl = "${hub.topurl}"`, `weburl = "${hub.weburl}"`];
  const text = readFileSync(DEMO_CONFIG, 'utf8')
    .replace(
      /^(# The gate of `kmod-gate demo`).*\n(?:#.*\n)*/,
      '$1, as it runs now. Written by it, and taken away by the next one.\n',
    )
    .replace(/^server = .*$/m, hubLines.join('\n'))
    .replace(/^url = .*$/m, () => `url = ${JSON.stringify(`sqlite:${join(folder, STORE)}`)}`)
    .replace(
      /^# Only with .*\n\[http\]\nlisten = .*\n/m,
      port === null ? '' : `[http]\nlisten = "127.0.0.1:${port}"\n`,
    );
  const file = join(folder, CONFIG);
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new CheckError(`${file}: cannot be written: ${(error as Error).message}`);
  }
  return file;
}

/** How this program is called in the folder that it was started in. */
export function programName(argv: readonly string[] = process.argv, cwd = process.cwd()): string {
  const path = argv[1] ?? '';
  if (basename(path) === 'kmod-gate') return 'kmod-gate';
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  const file = existsSync(main) ? main : path;
  const below = relative(cwd, file);
  return `node ${shellWord(below.startsWith('..') ? file : below)}`;
}

/** `kmod-gate demo kernel`: bring the next kernel in the demo that runs in a folder. Throws CheckError where none does. */
export async function demoKernel(output: Output, said: string | undefined): Promise<void> {
  const folder = demoFolder(said);
  const config = join(folder, CONFIG);
  const none = `no demo runs with ${folder}; start one in another terminal: ${programName()} demo --serve`;
  if (!existsSync(config)) throw new CheckError(none);
  const { server } = loadConfig(config).koji;
  const response = await fetch(new URL(NEXT_PATH, server), {
    method: 'POST',
    headers: { [NEXT_HEADER]: 'next' },
  }).catch((cause: unknown) => {
    throw new CheckError(none, { cause });
  });
  const { nvr } = (await response.json().catch(() => ({}))) as { nvr?: unknown };
  if (typeof nvr !== 'string')
    throw new CheckError(
      response.status === 404
        ? 'the demo has no more kernels; start it anew'
        : `${server}: no demo answers there`,
    );
  output.write(line(`${nvr} is complete, and tagged into c9s-gate.`));
  output.write(
    `See what becomes of it:\n  ${line(`${programName()} explain ${nvr} -c ${shellWord(config)}`)}`,
  );
}
