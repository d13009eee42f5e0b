/** The home directory that `~` stands for. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `HOME` in `env`, else as the system knows it. */
export const homeOf = (env: NodeJS.ProcessEnv): string => env['HOME'] || homedir();

/** Where what can be made anew is kept for a user: `$XDG_CACHE_HOME/kmod-gate`. */
export const cacheFolder = (env: NodeJS.ProcessEnv): string =>
  join(env['XDG_CACHE_HOME'] || join(homeOf(env), '.cache'), 'kmod-gate');

/** A path with a `~` in front spelled out. */
export const expandHome = (path: string, env: NodeJS.ProcessEnv): string =>
  path.replace(/^~(?=\/)/, homeOf(env));
