/** Who is told what by a running gate, as its configuration says. */
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { TELL } from '../config/tell.ts';
import type { Run } from '../core/model.ts';
import type { Hub } from '../koji/hub.ts';
import type { GateClock } from '../store/clock.ts';
import { hubUrl } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { busChannel } from '../tell/bus.ts';
import type { Channel } from '../tell/channel.ts';
import { noticeChannel } from '../tell/noticechannel.ts';
import { resultsdbChannel } from '../tell/resultsdb.ts';
import type { Pages, Sources } from '../tell/subject.ts';
import { startTelling, type Teller } from '../tell/teller.ts';
import { brokerOptions } from './broker.ts';
import { report, reporting, webLinks } from './report.ts';

/**
 * Begin to tell all that the configuration names. Call it before the gate records anything.
 * @param permit throws where another gate may tell it by now
 */
export function startTellers(
  config: Config,
  {
    store,
    hub,
    clock,
    log,
    permit,
  }: { store: Store; hub: Hub; clock: GateClock; log: Logger; permit: () => void },
): Promise<Teller> {
  const sources: Sources = { store, hub, pages: pagesOf(config), ahead: clock.ahead };
  const { tell = TELL } = config;
  const channels: Channel[] = [];
  const { messages, bus } = config;
  if (messages) {
    const own = messages.url;
    const broker = own === undefined && bus ? brokerOptions(bus) : { url: own ?? '' };
    channels.push(busChannel(messages, broker, sources, log));
  }
  if (config.resultsdb) channels.push(resultsdbChannel(config.resultsdb, sources));
  const { gates, mail, notices = [] } = config;
  const reports = reporting(config, store);
  const people = { ...sources, gates, mail, reportOf: (run: Run) => report(reports, run) };
  for (const notice of notices) channels.push(noticeChannel(notice, people, log));
  const permitted = channels.map(
    (channel): Channel => ({
      ...channel,
      async deliver(row) {
        permit();
        return channel.deliver(row);
      },
    }),
  );
  return startTelling({ channels: permitted, outbox: store, now: clock.now, log, giveUp: tell.giveUp });
}

function pagesOf({ koji, tell = TELL }: Config): Pages {
  const { dashboard } = tell;
  return {
    ...webLinks(koji.weburl),
    kernel: (build) => dashboard && `${dashboard}/kernel/${build}`,
    hub: hubUrl(koji.server),
  };
}
