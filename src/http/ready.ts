/**
 * What probes are told. `/healthz`: whether the process does what it is for, or hangs, so that a new start would help.
 * `/readyz`: whether this gate can judge a kernel that comes now, or why not. docs/monitoring.md has it for people.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { span } from '../core/wording.ts';
import { type Health, isAlive, standsBy } from './health.ts';

/**
 * Why a kernel that comes now would not be judged, in words for people; none where it would be. A bus that is lost, or
 * not there yet, is no reason: sweeps find what messages would tell. One that stands by is ready while another one acts: it
 * shows pages, hears persons, and follows.
 */
export function unready(health: Health, now: number): string[] {
  const { looked_at, trouble, login, lease } = health;
  const reasons: string[] = [];
  if (lease && standsBy(health)) {
    if (lease.reason !== undefined) reasons.push(`stands by, and cannot take over: ${lease.reason}`);
    else if (lease.holder === null) reasons.push('no gate acts yet');
  } else if (looked_at === null) reasons.push('the first look at the hub has not ended yet');
  else if (!isAlive(health, now)) reasons.push(`no look at the hub has ended for ${span(now - looked_at)}`);
  if (trouble) reasons.push(`the hub does not answer since ${span(now - trouble.since)}: ${trouble.reason}`);
  if (login?.state === 'waiting') reasons.push('no login at the hub was tried yet');
  const locked = loginTrouble(health, now);
  if (locked) reasons.push(locked);
  return reasons;
}

/** That no login works, since when, and why; undefined where one works, or none is wanted. */
export function loginTrouble({ login }: Health, now: number): string | undefined {
  if (login?.state !== 'fails') return undefined;
  return `cannot log in at the hub since ${span(now - login.since)}, nothing can be built or tagged: ${login.reason}`;
}

/**
 * Serve `/healthz` and `/readyz`: 200 for yes, 503 for no.
 * @param options.headers go with every answer
 * @param options.brief tell nothing but yes or no. Default: false
 */
export function addProbes(
  app: FastifyInstance,
  health: () => Health,
  {
    headers,
    brief = false,
  }: { readonly headers: Readonly<Record<string, string>>; readonly brief?: boolean },
): void {
  const answer = (reply: FastifyReply, ok: boolean, more: object) =>
    reply
      .code(ok ? 200 : 503)
      .headers(headers)
      .send({ ok, ...(!brief && more) });
  app.get('/healthz', async (_request, reply) => {
    const found = health();
    return answer(reply, isAlive(found, Date.now()), found);
  });
  app.get('/readyz', async (_request, reply) => {
    const found = health();
    const reasons = unready(found, Date.now());
    return answer(reply, reasons.length === 0, { reasons, ...found });
  });
}
