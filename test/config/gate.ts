/** Configurations of one gate, for tests of a few keys. */
import { type Config, ConfigError, parseConfig } from '../../src/config/config.ts';

/** What stands in the file: the lines of `[koji]`, and more lines of the gate. */
export interface Keys {
  readonly koji?: string;
  readonly gate?: string;
  /** More tables. */
  readonly tables?: string;
}

const READER = 'server = "https://koji.example.org/kojihub"\nauthtype = "noauth"';

/** The configuration of a gate with these keys; a ConfigError's text where there is none. */
export function parseGate(
  { koji = READER, gate = '', tables = '' }: Keys,
  env: NodeJS.ProcessEnv,
  places?: readonly string[],
): Config | string {
  const text = `[koji]
    ${koji}
    [store]
    url = "sqlite::memory:"
    [[gate]]
    name = "c9s"
    kernels = ["kernel"]
    watch = "c9s-gate"
    ${gate}
    kmods.tag = "kmods"
    build.target = "kmods"
    on_pass.tag = ["candidate"]
    ${tables}`;
  try {
    return parseConfig(text, 'gate.toml', env, places);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}
