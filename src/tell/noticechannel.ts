/** A `[[notice]]` as a channel: whom it tells of a verdict, and whether that is news to them. */
import type { Logger } from 'pino';
import type { MailSettings, NoticeSettings } from '../config/notice.ts';
import type { Gate, Run } from '../core/model.ts';
import { matcher } from '../core/names.ts';
import { quietUntil } from '../core/policy.ts';
import type { RunReport } from '../report/report.ts';
import type { Outgoing } from '../store/outbox.ts';
import { type Channel, messageId, NOTHING_NEW, TellError } from './channel.ts';
import { sendMail } from './mail.ts';
import { digestOf, kernelNotice, kmodNotice, type Notice, toldKmods } from './notice.ts';
import { ownerOf } from './owners.ts';
import { runOf, type Sources } from './subject.ts';
import { sendWebhook } from './webhook.ts';

export interface NoticeSources extends Sources {
  readonly gates: readonly Gate[];
  readonly mail: MailSettings | undefined;
  reportOf(run: Run): Promise<RunReport>;
}

/** Whom one message goes to: an address, or the webhook; and of which kmods it is, none meaning the kernel. */
interface Part {
  readonly to: string | null;
  readonly kmods: readonly string[];
  readonly owner: string;
}

export function noticeChannel(to: NoticeSettings, sources: NoticeSources, log: Logger): Channel {
  const { store, hub, gates, ahead } = sources;
  const name = `notice ${to.name}`;
  const concerns = matcher(to.gates);
  return {
    name,
    tells: ['verdict'],
    ordered: false,
    gather: to.gather,
    quietUntil(now) {
      // Quiet times go by the calendar, the outbox by the gate's clock.
      const until = quietUntil(to.quiet, now + ahead());
      return until === undefined ? undefined : until - ahead();
    },
    async divide(row) {
      const current = await currentOf(row);
      if (!current || !concerns(row.gate)) return [];
      const { report } = current;
      const kmods = toldKmods(report, to.outcomes);
      const parts = to.about === 'kernel' ? await kernelParts(row, current.run) : await kmodParts(row, kmods);
      return parts.map((part) => JSON.stringify(part));
    },
    async deliver(row) {
      const current = await currentOf(row);
      if (!current) return NOTHING_NEW;
      const part = JSON.parse(row.part) as Part;
      const notice = noticeOf(current, part);
      if (!notice) return NOTHING_NEW;
      const matter = JSON.stringify([
        row.gate,
        row.build,
        part.to,
        to.about === 'kmods' && part.to === null ? part.kmods : [],
      ]);
      const digest = digestOf(notice);
      const before = await store.lastTold(name, matter);
      if (before === digest || !wanted(notice, before !== undefined)) return NOTHING_NEW;
      const id = messageId(store.installation, row);
      const thread = messageId(store.installation, { ...row, fact: 0, part: '' });
      if (part.to === null && to.webhook) await sendWebhook(to.webhook, notice, { id, owner: part.owner });
      else if (part.to !== null && sources.mail)
        await sendMail(sources.mail, part.to, notice, { id, thread });
      else throw new TellError('it is not configured any more how', { forGood: true });
      log.info({ kernel: notice.kernel, gate: notice.gate, to: part.to ?? 'webhook' }, notice.title);
      return { matter, digest };
    },
    close: async () => {},
  };

  /** The run with this verdict as its newest; undefined where there is a newer one, or a retry: that has its own. */
  async function currentOf(row: Outgoing): Promise<{ run: Run; report: RunReport } | undefined> {
    const run = await runOf(sources, row);
    if (run.verdict?.fact !== row.fact) return undefined;
    return { run, report: await sources.reportOf(run) };
  }

  function wanted({ verdict }: Notice, toldBefore: boolean): boolean {
    // What a kmod came to is told whatever became of the kernel.
    if (to.about === 'kmods') return true;
    if (verdict !== 'promote') return to.on.includes(verdict);
    return to.on.includes('promote') || (to.on.includes('mended') && toldBefore);
  }

  function noticeOf({ run, report }: { run: Run; report: RunReport }, { kmods }: Part): Notice | undefined {
    const gate = gates.find((one) => one.name === run.gate);
    const known = { report, run, gate, url: sources.pages.kernel(run.kernel.id) };
    return to.about === 'kernel' ? kernelNotice(known) : kmodNotice(known, kmods);
  }

  async function kernelParts(row: Outgoing, run: Run): Promise<Part[]> {
    const gate = gates.find((one) => one.name === row.gate);
    const owner = to.owners && gate ? await reach(gate.watch, run.kernel.name) : undefined;
    const addresses = [...new Set([...to.mail, ...(owner ? [owner.address] : [])])];
    const mailed = addresses.map((one): Part => ({ to: one, kmods: [], owner: '' }));
    return to.webhook ? [...mailed, { to: null, kmods: [], owner: owner?.owner ?? '' }] : mailed;
  }

  /** One message an owner, of all of theirs; a webhook has one for each kmod, as an issue is about one thing. */
  async function kmodParts(row: Outgoing, kmods: readonly string[]): Promise<Part[]> {
    const tag = gates.find((one) => one.name === row.gate)?.kmods.tag;
    const whose = new Map<string, string[]>(to.mail.map((one) => [one, [...kmods]]));
    const owners = new Map<string, string>();
    for (const kmod of to.owners && tag !== undefined ? kmods : []) {
      const owner = await reach(tag ?? '', kmod);
      if (!owner) continue;
      owners.set(kmod, owner.owner);
      const theirs = whose.get(owner.address) ?? [];
      if (!theirs.includes(kmod)) whose.set(owner.address, [...theirs, kmod]);
    }
    const mailed = [...whose].map(([one, theirs]): Part => ({ to: one, kmods: theirs, owner: '' }));
    const hooked = to.webhook
      ? kmods.map((kmod): Part => ({ to: null, kmods: [kmod], owner: owners.get(kmod) ?? '' }))
      : [];
    return [...mailed.filter((part) => part.kmods.length > 0), ...hooked];
  }

  async function reach(tag: string, pkg: string) {
    const owner = await ownerOf(hub, to, tag, pkg);
    if ('address' in owner) return owner;
    log.warn({ notice: to.name, package: pkg }, `its owner is not told: ${owner.why}`);
    return undefined;
  }
}
