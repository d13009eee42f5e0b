/** `[http]`: where the gate listens, and whom it lets in. */
import { expandHome } from './home.ts';
import type { ConfigFile } from './schema.ts';

/** Where dashboard and API listen. `host` has no brackets; port 0 is any free one. */
export interface HttpSettings {
  readonly host: string;
  readonly port: number;
  /** The file that says who may write by the API; absent: nobody. */
  readonly tokens?: string;
  /** Whoever reads needs a token too. */
  readonly closed?: true;
}

/** `env` gives HOME. */
export const httpSettings = (
  { listen, tokens, read }: NonNullable<ConfigFile['http']>,
  env: NodeJS.ProcessEnv,
): HttpSettings => ({
  ...listen,
  ...(tokens !== undefined && { tokens: expandHome(tokens, env) }),
  ...(read === 'token' && { closed: true }),
});

/** On one line. */
export function describeHttp({ host, port, tokens, closed }: HttpSettings): string {
  const place = host.includes(':') ? `[${host}]` : host;
  const who =
    tokens === undefined ? 'nobody writes by the API' : `who has a token of ${tokens} writes by the API`;
  return `${place}:${port}, ${who}, ${closed ? 'and only they read' : 'anybody reads'}`;
}
