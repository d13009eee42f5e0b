/** `[http]`: where the gate listens, and whom it lets in. */
import { expandHome } from './home.ts';
import type { ConfigFile } from './schema.ts';

/** Where dashboard and API listen. `host` has no brackets; port 0 is any free one. */
export interface HttpSettings extends Address {
  /** Where `/metrics` is: at an address of its own, or nowhere; absent: where the dashboard is. */
  readonly metrics?: Address | false;
  /** The file that says who may write by the API; absent: nobody. */
  readonly tokens?: string;
  /** Whoever reads needs a token too. */
  readonly closed?: true;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** `env` gives HOME. */
export const httpSettings = (
  { listen, metrics, tokens, read }: NonNullable<ConfigFile['http']>,
  env: NodeJS.ProcessEnv,
): HttpSettings => ({
  ...listen,
  ...(metrics !== true && { metrics }),
  ...(tokens !== undefined && { tokens: expandHome(tokens, env) }),
  ...(read === 'token' && { closed: true }),
});

/** On one line. */
export function describeHttp({ tokens, closed, metrics, ...pages }: HttpSettings): string {
  const who =
    tokens === undefined ? 'nobody writes by the API' : `who has a token of ${tokens} writes by the API`;
  const measured =
    metrics === undefined ? '' : metrics ? `, /metrics at ${formatAddress(metrics)}` : ', no /metrics';
  return `${formatAddress(pages)}${measured}, ${who}, ${closed ? 'and only they read' : 'anybody reads'}`;
}

const formatAddress = ({ host, port }: Address): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;
