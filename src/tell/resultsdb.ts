/**
 * Results in ResultsDB, where Greenwave and people look for them. By its API 2.0 (`POST results`), which every version has, or 3
 * (`POST results/brew-builds`), which wants a token.
 */
import type { ResultsdbSettings } from '../config/tell.ts';
import type { Outgoing, VerdictTold } from '../store/outbox.ts';
import { type Channel, messageId } from './channel.ts';
import { headersIn, sendJson } from './http.ts';
import { archesOf, partsOf, resultOf, resultOfKmod, saysOf, WHOLE } from './result.ts';
import { buildReader, linksOf, runOf, type Sources, verdictOf } from './subject.ts';

/** Longest note, characters; API 3 takes 8,192 in its data. */
const NOTE = 8_000;

/** What one result says, before it is put as a version of the API wants it. */
interface Said {
  readonly testcase: string;
  readonly outcome: string;
  readonly note: string;
  readonly url: string;
  readonly item: string;
  readonly scenario: string | undefined;
  readonly task: number;
  readonly arches: readonly string[];
  /** Of the run, and of this very message. */
  readonly group: string;
  readonly id: string;
}

export function resultsdbChannel(to: ResultsdbSettings, sources: Sources): Channel {
  const { store } = sources;
  const buildOf = buildReader(sources.hub);
  return {
    name: 'resultsdb',
    tells: to.progress ? ['queued', 'running', 'verdict', 'over'] : ['verdict'],
    ordered: true,
    gather: 0,
    async divide(row) {
      return partsOf(row, await runOf(sources, row), await verdictOf(sources, row), to.kmods);
    },
    async deliver(row) {
      const said = await saidOf(row);
      const [path, body] =
        to.api === 'v3'
          ? ['api/v3/results/brew-builds', version3(said)]
          : ['api/v2.0/results', version2(said)];
      await sendJson({
        what: 'ResultsDB',
        url: new URL(path, to.url.endsWith('/') ? to.url : `${to.url}/`),
        method: 'POST',
        headers: await headersIn(to.header_files),
        body: JSON.stringify(body),
        timeout: to.timeout,
      });
      return undefined;
    },
    close: async () => {},
  };

  async function saidOf(row: Outgoing): Promise<Said> {
    const [run, verdict] = [await runOf(sources, row), await verdictOf(sources, row)];
    const build = await buildOf(run.kernel.id);
    const closing = row.what === 'over' ? await store.closingTold(row.run, row.fact) : undefined;
    const scenario = row.part === WHOLE ? undefined : row.part;
    const note = closing ? `${closing.how}: ${closing.why}` : noteOf(verdict, run, scenario);
    return {
      testcase: `${to.namespace}.${row.gate}.${to.category}`,
      outcome: outcomeOf(row, verdict, run),
      note: note.length > NOTE ? `${note.slice(0, NOTE - 1)}…` : note,
      url: linksOf(sources.pages, run, row.part).log,
      item: run.kernel.nvr,
      scenario,
      task: build?.task_id ?? run.kernel.id,
      arches: archesOf(run, row.part),
      group: messageId(store.installation, { ...row, fact: 0, what: 'queued', part: '' }),
      id: messageId(store.installation, row),
    };
  }

  function version2({ testcase, outcome, note, url, item, scenario, arches, group, id }: Said) {
    const { contact } = to;
    return {
      testcase: { name: testcase, ...(contact && { ref_url: contact.docs }) },
      ...{ outcome, note, ref_url: url },
      groups: [group],
      data: {
        ...{ item, type: 'koji_build', message_id: id },
        ...(scenario !== undefined && { scenario }),
        ...(arches.length > 0 && { arch: arches }),
        ...(outcome === 'ERROR' && { error_reason: note }),
        ...(contact && ciOf(contact)),
      },
    };
  }

  function version3({ testcase, outcome, note, url, item, scenario, task }: Said) {
    const { contact } = to;
    return {
      ...{ testcase, outcome, note, ref_url: url, item, brew_task_id: task },
      ...(scenario !== undefined && { scenario }),
      ...(outcome === 'ERROR' && { error_reason: note }),
      ...(contact && { testcase_ref_url: contact.docs, ...ciOf(contact) }),
    };
  }
}

const ciOf = ({ name, team, docs, email }: NonNullable<ResultsdbSettings['contact']>) => ({
  ...{ ci_name: name, ci_team: team, ci_docs: docs, ci_email: email },
});

function outcomeOf(row: Outgoing, verdict: VerdictTold | undefined, run: Parameters<typeof resultOfKmod>[1]) {
  if (!verdict) return { queued: 'QUEUED', running: 'RUNNING', verdict: 'ERROR', over: 'ERROR' }[row.what];
  const result = row.part === WHOLE ? resultOf(verdict) : resultOfKmod(verdict, run, row.part);
  return result.toUpperCase();
}

function noteOf(
  verdict: VerdictTold | undefined,
  run: Parameters<typeof saysOf>[1],
  scenario: string | undefined,
): string {
  if (!verdict) return '';
  return scenario === undefined ? verdict.reasons.join('\n') : (saysOf(verdict, run, scenario) ?? '');
}
