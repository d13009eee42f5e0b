/** Where the configuration is, if nobody says so. */
import { existsSync } from 'node:fs';
import { ConfigError } from './error.ts';

/** In the folder that a command is started in, and for the whole machine. */
export const CONFIG_HERE = 'kmod-gate.toml';
export const CONFIG_OF_MACHINE = '/etc/kmod-gate/kmod-gate.toml';
/** The variable of the environment that names one. */
export const CONFIG_VARIABLE = 'KMOD_GATE_CONFIG';

/** The places in their order, for people. */
export const CONFIG_PLACES = `$${CONFIG_VARIABLE}, ./${CONFIG_HERE}, ${CONFIG_OF_MACHINE}`;

/**
 * The file that `-c` names, else KMOD_GATE_CONFIG, else the first that is there. Throws ConfigError where there is none, with
 * the places, and where KMOD_GATE_CONFIG names one that is not there.
 * @param said by `-c`; empty: nothing
 */
export function findConfig(
  said: string,
  env: NodeJS.ProcessEnv = process.env,
  isThere: (file: string) => boolean = existsSync,
): string {
  if (said) return said;
  const named = env[CONFIG_VARIABLE];
  if (named && !isThere(named))
    throw new ConfigError(named, [{ path: '', message: `is not there; ${CONFIG_VARIABLE} names it` }]);
  if (named) return named;
  const found = [CONFIG_HERE, CONFIG_OF_MACHINE].find(isThere);
  if (found) return found;
  const message = `is not there, nor is ${CONFIG_OF_MACHINE}, and ${CONFIG_VARIABLE} names none; say -c FILE; config/kmod-gate.toml is an example to start from`;
  throw new ConfigError(CONFIG_HERE, [{ path: '', message }]);
}
