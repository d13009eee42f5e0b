/** What the API of a running gate tells and hears. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { otherHost } from '../config/rules.ts';
import type { Machine } from '../http/dashboard.ts';
import { WordError } from '../http/error.ts';
import type { Answer, GateReport, Word } from '../http/routes.ts';
import { openKeyring } from '../http/tokens.ts';
import type { Store } from '../store/store.ts';
import { CheckError } from './error.ts';
import { type Floor, type Spoken, sayOrder, sayUnwaive, sayWaive } from './people.ts';
import { hubLookUp } from './waivercare.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/**
 * The API of a gate.
 * @throws TokensError where the file of tokens cannot be used
 */
export function machineOf(config: Config, store: Store, log: Logger): Machine {
  const { tokens, closed = false, host = '' } = config.http ?? {};
  const keyring = tokens === undefined ? undefined : openKeyring(tokens, log);
  if (keyring && otherHost(`http://${host.includes(':') ? `[${host}]` : host}`, 'http:'))
    log.warn(
      `listens at ${host} without TLS: everybody on the way can read tokens that come here but through a server that has it`,
    );
  return {
    version,
    access: { closed, ...(keyring && { keyring }) },
    gateReports: config.gates.map(gateReport),
    say: (word, by) => say({ config, store, now: Date.now, lookUp: hubLookUp(config) }, word, by),
  };
}

function gateReport(gate: Config['gates'][number]): GateReport {
  const { name, kernels, watch, mode, strategy, kmods, on_pass, on_fail } = gate;
  const { tag, include, exclude, advisory } = kmods;
  const tags = (change: GateReport['on_pass']) => ({ tag: change.tag, untag: change.untag });
  return {
    ...{ name, kernels, watch, mode, strategy, kmods: { tag, include, exclude, advisory } },
    ...{ on_pass: tags(on_pass), on_fail: tags(on_fail) },
  };
}

/** Say it as the command would, and tell what that printed. */
async function say(floor: Omit<Floor, 'output'>, word: Word, by: string): Promise<Answer> {
  const written: string[] = [];
  const output = { write: (text: string) => void written.push(text), colour: false };
  try {
    const { waiver, runs } = await saying({ ...floor, output }, word, by);
    return {
      said: written.join('').trimEnd().split('\n'),
      ...(waiver !== undefined && { waiver }),
      runs: runs.map(({ id, gate, kernel }) => ({ run: id, gate, build: kernel.id, nvr: kernel.nvr })),
    };
  } catch (cause) {
    if (!(cause instanceof CheckError)) throw cause;
    // A command's options are a request's fields.
    const [, field] = /^--(\w+)/.exec(cause.message) ?? [];
    throw new WordError(cause.message.replace(/^--/, ''), field, { cause });
  }
}

function saying(floor: Floor, word: Word, by: string): Promise<Spoken> {
  switch (word.kind) {
    case 'waive':
      return sayWaive(floor, { ...word, allKmods: word.all_kmods === true, by });
    case 'unwaive':
      return sayUnwaive(floor, String(word.id), by);
    default:
      return sayOrder(floor, word.kind, word.kernel, { ...word, by });
  }
}
