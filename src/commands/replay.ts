/** `kmod-gate replay`: what the configured policy would have said of the kernels that the store has seen. */
import type { Config } from '../config/config.ts';
import type { Run } from '../core/model.ts';
import { type Replayed, replay } from '../core/replay.ts';
import { plural } from '../core/wording.ts';
import { withStore } from '../store/open.ts';
import { parseSince } from './dates.ts';
import { dateTime, line, type Output, paint, table } from './text.ts';

/** So many runs at the most are played again, the newest first. */
const MOST = 1_000;

/** Throws CheckError for a date that is none, StoreError. */
export async function replayCommand(
  config: Config,
  output: Output,
  { since, json }: { readonly since?: string; readonly json: boolean },
): Promise<void> {
  const now = Date.now();
  const from = since === undefined ? 0 : parseSince(since, now);
  const runs = await withStore(config.store, 'read', (store) => store.runs(MOST));
  const played = runs
    .filter(({ startedAt }) => startedAt >= from)
    .flatMap((run) => {
      const gate = config.gates.find(({ name }) => name === run.gate);
      return gate ? [{ run, now: replay(gate, run, now) }] : [];
    });
  output.write(json ? `${JSON.stringify({ runs: played.map(rowOf) }, null, 2)}\n` : asText(output, played));
}

interface Played {
  readonly run: Run;
  readonly now: Replayed;
}

const differs = ({ run, now }: Played): boolean => run.verdict?.verdict !== now.verdict;

function rowOf(played: Played) {
  const { run, now } = played;
  return {
    run: run.id,
    gate: run.gate,
    nvr: run.kernel.nvr,
    started_at: run.startedAt,
    was: { verdict: run.verdict?.verdict ?? null, reasons: run.verdict?.reasons ?? [] },
    would_be: now,
    differs: differs(played),
  };
}

function asText(output: Output, played: readonly Played[]): string {
  if (played.length === 0) return 'The store has no run of a configured gate since then.\n';
  const rows = played.map((one) => [
    differs(one) ? '*' : '',
    dateTime(one.run.startedAt),
    one.run.gate,
    one.run.kernel.nvr,
    one.run.verdict?.verdict ?? one.run.closing?.how ?? '-',
    one.now.verdict,
    differs(one) ? (one.now.reasons[0] ?? '') : '',
  ]);
  const text = table(
    [['', 'BEGAN', 'GATE', 'KERNEL', 'WAS', 'WOULD BE', 'BECAUSE'], ...rows],
    (padded, cell) => paint(output, cell, padded),
  );
  const unknown = [...new Set(played.flatMap(({ now }) => (now.verdict === 'unknown' ? now.missing : [])))];
  const note =
    unknown.length > 0
      ? line(
          `Of ${unknown.join(', ')} there is evidence missing that this policy asks for: it was not tried that way then.`,
        )
      : '';
  const count = played.filter(differs).length;
  return `${text}\n${plural(count, 'verdict')} of ${played.length} would be another one.\n${note}`;
}
