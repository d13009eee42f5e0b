/** Whether the WaiverDB that `[waiverdb]` names answers, has what is asked of it, and may take what is given here. */
import type { Config } from '../../config/config.ts';
import { maskUrl } from '../../config/mistakes.ts';
import type { WaiverDbSettings } from '../../config/waiverdb.ts';
import { plural } from '../../core/wording.ts';
import { connectWaiverDb, probeWaiverDb, WaiverDbError, type WaiverDbProbe } from '../../waiverdb/client.ts';
import { readToken } from '../waiversync.ts';
import { type Check, info, ok, unsure, wrong } from './check.ts';

const AREA = 'waiverdb';
/** How long one answer may take, in ms. */
const PATIENCE = 10_000;
/** Logins of WaiverDB that take no token. */
const WITHOUT_TOKEN = ['Kerberos', 'SSL', 'dummy'];

/** Reads what the gate reads, and writes nothing. */
export async function examineWaiverDb({
  waiverdb,
  gates,
}: Pick<Config, 'waiverdb' | 'gates'>): Promise<Check[]> {
  if (!waiverdb) return [];
  const { productVersion } = waiverdb;
  const url = maskUrl(waiverdb.url);
  const options = { url: waiverdb.url, timeout: PATIENCE };
  const probe = probeWaiverDb(options);
  try {
    const said = await aboutOf(probe);
    const checks = [
      ok(AREA, said ? `WaiverDB ${said.version} answers at ${url}` : `WaiverDB answers at ${url}`),
    ];
    const db = connectWaiverDb(options);
    for (const { name } of gates) {
      const testcase = waiverdb.testcase.replaceAll('GATE', name);
      const { length } = await db.records({ testcase, productVersion });
      checks.push(ok(AREA, `${plural(length, 'record')} of ${testcase} for ${productVersion} can be read`));
    }
    if (!(await probe.knows(productVersion))) {
      const mend =
        'this is so before the first one; else call product_version in [waiverdb] as others there do';
      checks.push(unsure(AREA, `it has no waiver at all of the product version ${productVersion}`, mend));
    }
    return [...checks, ...examineWriting(waiverdb, said?.authMethod)];
  } catch (error) {
    if (!(error instanceof WaiverDbError)) throw error;
    const mend =
      'check url in [waiverdb]; until then waivers given there do not count, and those known here stay';
    return [wrong(AREA, `${url} ${error.message}`, mend)];
  }
}

/** An old one, or a proxy before it, may not tell. That it answers at all, the waivers show. */
const aboutOf = (probe: WaiverDbProbe) =>
  probe.about().catch((error: unknown) => {
    if (error instanceof WaiverDbError) return undefined;
    throw error;
  });

/** That a token is taken, only a waiver would show. */
function examineWriting(settings: WaiverDbSettings, authMethod: string | undefined): Check[] {
  const { write, tokenFile } = settings;
  if (!write) return [info(AREA, 'is only read; write = true gives it the waivers that are given here')];
  if (tokenFile === undefined)
    return [
      unsure(AREA, 'waivers are given without a token', 'name its file with token_file, where it wants one'),
    ];
  try {
    readToken(tokenFile);
  } catch (error) {
    if (!(error instanceof WaiverDbError)) throw error;
    return [wrong(AREA, error.message, 'mend it; it is read anew at each write')];
  }
  if (authMethod !== undefined && WITHOUT_TOKEN.includes(authMethod)) {
    const mend = 'ask for a login by OIDC there, or set write = false';
    return [wrong(AREA, `its login is ${authMethod}, which takes no token`, mend)];
  }
  const mend = 'the log of the gate tells it after the first one';
  return [unsure(AREA, 'whether it takes the token: only a waiver would show that', mend)];
}
