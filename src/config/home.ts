/** The home directory that `~` stands for. */
import { homedir } from 'node:os';

/** `HOME` in `env`, else as the system knows it. */
export const homeOf = (env: NodeJS.ProcessEnv): string => env['HOME'] || homedir();

/** A path with a `~` in front spelled out. */
export const expandHome = (path: string, env: NodeJS.ProcessEnv): string =>
  path.replace(/^~(?=\/)/, homeOf(env));
