/** `check` and `diff` called within the process: what they print, and what they answer. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CheckOptions, check, diff } from '../../src/commands/check.ts';
import type { Output } from '../../src/commands/text.ts';
import type { Config } from '../../src/config/config.ts';

const DEMO = fileURLToPath(new URL('../../config/demo/', import.meta.url));
/** The symbols of a real kernel. */
export const kernel = (version: string) => join(DEMO, `${version}.symvers.gz`);
/** Real kmods. */
export const KMODS = join(DEMO, 'kmods');
export const JOOL = join(KMODS, 'kmod-jool-dkms-4.1.9-1.el9.modversions');

const noConfig = async (): Promise<Config> => {
  throw new Error('no configuration is needed');
};

/** With nothing but a hub. */
export const hubConfig = (server: string): Config =>
  ({ koji: { server, authtype: 'noauth', timeout: 2_000 } }) as unknown as Config;

/** What a command printed, and its answer, or what it threw then. */
export async function told(command: (output: Output) => Promise<boolean>) {
  let text = '';
  const write = (more: string) => {
    text += more;
  };
  try {
    const answer = await command({ write, colour: false });
    return { text, answer, error: null };
  } catch (error) {
    return { text, answer: null, error };
  }
}

/** What a command printed, and its answer. */
async function run(command: (output: Output) => Promise<boolean>) {
  const { error, ...said } = await told(command);
  if (error !== null) throw error;
  return said;
}
type Options = Partial<CheckOptions> & Pick<CheckOptions, 'kernel'>;
export const checked = (options: Options) =>
  run((output) => check(output, { kmods: [], json: false, config: noConfig, ...options }));
export const checkedJson = async (options: Options) =>
  JSON.parse((await checked({ json: true, ...options })).text);
export const compared = (
  older: string,
  newer: string,
  options: { json?: boolean; stablelist?: string; severities?: string } = {},
) => run((output) => diff(output, [older, newer], { json: false, config: noConfig, ...options }));
