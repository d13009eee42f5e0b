/** `[waiverdb]`: a WaiverDB whose waivers count here, and that is told of those that are given here. */

import { expandHome } from './home.ts';
import { type Finding, maskUrl, valueAt } from './mistakes.ts';
import { otherHost } from './rules.ts';
import type { ConfigFile } from './schema.ts';

export interface WaiverDbSettings {
  /** Of its API, such as `https://waiverdb.example.org/api/v1.0`; without a slash at the end. */
  readonly url: string;
  readonly productVersion: string;
  /** With `GATE` for the gate's name. */
  readonly testcase: string;
  /** Waivers that are given here are given there, too. */
  readonly write: boolean;
  /** The file with the token for that; absent: none is sent. */
  readonly tokenFile?: string;
  /** They are given there in the name of who gave them here: the token's user must be a superuser there. */
  readonly proxy: boolean;
}

/** `env` gives HOME. */
export const waiverDbSettings = (
  { url, product_version, testcase, write, token_file, proxy }: NonNullable<ConfigFile['waiverdb']>,
  env: NodeJS.ProcessEnv,
): WaiverDbSettings => ({
  ...{ url: url.replace(/\/+$/, ''), productVersion: product_version, testcase, write, proxy },
  ...(token_file !== undefined && { tokenFile: expandHome(token_file, env) }),
});

/** Whoever can change what is read lets kernels through. */
export function checkWaiverDb(document: unknown): Finding[] {
  const of = (key: string) => valueAt(document, ['waiverdb', key]);
  const url = otherHost(of('url'), 'http:');
  const plain =
    url && of('plaintext') !== true
      ? [
          {
            path: ['waiverdb', 'url'],
            message: `http:// to ${url.host} lets everybody on the way give waivers: use https://, or set plaintext = true where that is meant`,
          },
        ]
      : [];
  const idle = (['token_file', 'proxy'] as const)
    .filter((key) => of(key) !== undefined && of(key) !== false && of('write') !== true)
    .map((key) => ({ path: ['waiverdb', key], message: 'is for write = true, and nothing is written' }));
  return [...plain, ...idle];
}

/** On one line. */
export function describeWaiverDb(settings: WaiverDbSettings | undefined): string {
  if (!settings) return 'none: waivers are given here alone';
  const { url, productVersion, testcase, write, tokenFile, proxy } = settings;
  const writes = write
    ? `, and written${proxy ? ' in the name of who gives them' : ''}${tokenFile === undefined ? ', without a token' : `, with the token in ${tokenFile}`}`
    : '';
  return `${maskUrl(url)}, testcase ${testcase} of ${productVersion}, is read${writes}`;
}
