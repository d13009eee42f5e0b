/** What of `[resultsdb]`, `[mail]` and `[[notice]]` does not go together; it reads the document as parsed, as rules.ts does. */
import { accessSync, constants } from 'node:fs';
import { expandHome } from './home.ts';
import { type Finding, valueAt } from './mistakes.ts';
import { PLACEHOLDERS } from './notice.ts';

/** Contradictions in `[resultsdb]`, `[mail]` and `[[notice]]`, and files of secrets that cannot be read. */
export function checkNotices(document: unknown, env: NodeJS.ProcessEnv): Finding[] {
  const found = [...checkResultsdb(document, env), ...checkMail(document, env)];
  const all = valueAt(document, ['notice']);
  const names = new Set<unknown>();
  (Array.isArray(all) ? all : []).forEach((one: unknown, i) => {
    const path = ['notice', i];
    const of = (...keys: string[]) => valueAt(one, keys);
    const mailed = Array.isArray(of('mail')) && (of('mail') as unknown[]).length > 0;
    if (names.has(of('name')))
      found.push({ path: [...path, 'name'], message: 'another notice has this name: each has its own' });
    names.add(of('name'));
    if (!mailed && of('owners') !== true && of('webhook') === undefined)
      found.push({ path, message: 'tells nobody: set mail, owners = true, or a [notice.webhook]' });
    if ((mailed || of('owners') === true) && valueAt(document, ['mail']) === undefined)
      found.push({
        path: [...path, mailed ? 'mail' : 'owners'],
        message: 'mail cannot be sent: a [mail] table says how',
      });
    if (of('owners') === true && of('owner_domain') === undefined && of('addresses') === undefined)
      found.push({
        path: [...path, 'owners'],
        message:
          'Koji knows no e-mail addresses of its users: set owner_domain (USER@DOMAIN), or addresses of single ones',
      });
    for (const [key, about] of [
      ['on', 'kernel'],
      ['outcomes', 'kmods'],
    ] as const)
      if (of(key) !== undefined && (of('about') ?? 'kernel') !== about)
        found.push({ path: [...path, key], message: `goes with about = "${about}"` });
    if (of('owners') !== true && of('owner_domain') !== undefined)
      found.push({ path: [...path, 'owner_domain'], message: 'goes with owners = true' });
    if (of('webhook') !== undefined) found.push(...checkWebhook(of('webhook'), [...path, 'webhook'], env));
  });
  return found;
}

function checkResultsdb(document: unknown, env: NodeJS.ProcessEnv): Finding[] {
  const path = ['resultsdb'];
  const of = (key: string) => valueAt(document, [...path, key]);
  const url = of('url');
  const found = unreadableHeaders(of('header_files'), path, env);
  if (typeof url === 'string' && URL.canParse(url) && new URL(url).password !== '')
    found.push({ path: [...path, 'url'], message: 'no password in here: use header_files' });
  if (typeof url === 'string' && /\/api\/v\d/.test(url))
    found.push({ path: [...path, 'url'], message: 'without "api/…" at the end: the key api says which' });
  if (of('api') === 'v3' && of('contact') === undefined)
    found.push({
      path: [...path, 'api'],
      message: '"v3" wants a [resultsdb.contact] with team, docs and email',
    });
  return found;
}

function unreadableHeaders(files: unknown, path: Finding['path'], env: NodeJS.ProcessEnv): Finding[] {
  if (typeof files !== 'object' || files === null) return [];
  return Object.entries(files).flatMap(([name, at]) => unreadable(at, [...path, 'header_files', name], env));
}

function checkMail(document: unknown, env: NodeJS.ProcessEnv): Finding[] {
  const of = (key: string) => valueAt(document, ['mail', key]);
  const found: Finding[] = [];
  const smtp = of('smtp');
  if (typeof smtp === 'string' && URL.canParse(smtp) && new URL(smtp).username !== '')
    found.push({ path: ['mail', 'smtp'], message: 'no user in here: set user and password_file' });
  if ((of('user') === undefined) !== (of('password_file') === undefined)) {
    const [there, missing] = of('user') === undefined ? ['password_file', 'user'] : ['user', 'password_file'];
    found.push({ path: ['mail', there ?? ''], message: `goes with ${missing}: set both, or none` });
  }
  return [...found, ...unreadable(of('password_file'), ['mail', 'password_file'], env)];
}

function checkWebhook(hook: unknown, path: Finding['path'], env: NodeJS.ProcessEnv): Finding[] {
  const of = (key: string) => valueAt(hook, [key]);
  const found: Finding[] = [];
  if ((of('url') === undefined) === (of('url_file') === undefined))
    found.push({ path, message: 'set url, or url_file where the address itself is a secret: one of them' });
  const url = of('url');
  if (typeof url === 'string' && URL.canParse(url) && new URL(url).password !== '')
    found.push({ path: [...path, 'url'], message: 'no password in here: use url_file or header_files' });
  for (const key of ['url_file', 'secret_file']) found.push(...unreadable(of(key), [...path, key], env));
  found.push(...unreadableHeaders(of('header_files'), path, env));
  for (const [at, name] of placeholders(of('body'), [...path, 'body']))
    if (!PLACEHOLDERS.some((known) => known === name))
      found.push({
        path: at,
        message: `no such placeholder: {${name}}; there is {${PLACEHOLDERS.join('}, {')}}`,
      });
  return found;
}

/** What stands in braces in the texts of a template. */
function placeholders(value: unknown, path: Finding['path']): [Finding['path'], string][] {
  if (typeof value === 'string')
    return [...value.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => [path, name]);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) =>
    placeholders(one, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function unreadable(file: unknown, path: Finding['path'], env: NodeJS.ProcessEnv): Finding[] {
  if (typeof file !== 'string' || file === '') return [];
  try {
    accessSync(expandHome(file, env), constants.R_OK);
    return [];
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return [{ path, message: `cannot be read (${why}): put the secret there, for kmod-gate alone to read` }];
  }
}
