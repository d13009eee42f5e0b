/**
 * How errors are found in a log, whoever's it is. Logs may be huge, so they are taken in pieces as they come: no more is
 * kept of them than the line that is being read, and what was found.
 */
import type { LogError } from '../core/model.ts';

/** Takes a log in pieces, cut anywhere. */
export interface ErrorFinder {
  /** The log goes on with this text. */
  push(text: string): void;
  /** Something was left out here: what follows counts from its first whole line on. */
  skip(): void;
  /** True once the rest of the log cannot change the answer. */
  done(): boolean;
  /** The errors found, once the log is over: an unfinished last line counts. */
  finish(): LogError[];
}

/** What a line says, given the line before it. */
export type Parser = (line: string, before: string) => LogError | undefined;

/** What the lines beneath an error may add to it. */
export interface Follower {
  /** The error's own line. */
  readonly of: RegExp;
  readonly lines: number;
  /** Undefined where a line adds nothing. */
  add(error: LogError, line: string): LogError | undefined;
  /** Also where the error names something. */
  readonly always?: true;
  /** Its message goes on, up to the first line that adds nothing; else the first line that adds something is all. */
  readonly isText?: true;
}

/** What is looked for. */
export interface Rules {
  /** The first that says anything of a line has it; the first that found anything in the log is the answer. */
  readonly parsers: readonly Parser[];
  /** The one of them that may have enough before the log is over; the first one's word is final at once. */
  readonly main: Parser;
  readonly followers: readonly Follower[];
  /** A line after which what `main` found before was no error, but an answer to somebody who goes on. */
  readonly answered?: RegExp;
}

/** The errors of a log that is here as a whole. */
export function findAll(finder: ErrorFinder, log: string): LogError[] {
  finder.push(log);
  return finder.finish();
}

/** More of a line than this is not looked at. */
const LINE_MOST = 4096;

/** @param most how many errors at the most */
export function createFinder({ parsers, main, followers, answered }: Rules, most: number): ErrorFinder {
  const found = parsers.map((): LogError[] => []);
  /** What `main` found and was no error: told after all others, since the log of several jobs is mixed. */
  const answers: LogError[] = [];
  const [final = []] = found;
  const mains = found[parsers.indexOf(main)] ?? [];
  let line = '';
  let before = '';
  let skipping = false;
  let finished = false;
  /** What may still be added to the last error of a list, and from how many lines. */
  let following: { readonly list: LogError[]; readonly how: Follower; readonly left: number } | null = null;

  const keep = (list: LogError[], error: LogError, text: string): void => {
    if (list.length >= most || list.some((known) => isSame(known, error))) return;
    list.push(error);
    const how = followers.find(({ of }) => of.test(text));
    following = how && (how.always || !error.identifier) ? { list, how, left: how.lines } : null;
  };
  const follow = (text: string): void => {
    if (!following) return;
    const { list, how, left } = following;
    const last = list.at(-1);
    const added = last && how.add(last, text);
    if (added) list.splice(-1, 1, added);
    const goesOn = how.isText ? added : !added;
    following = goesOn && left > 1 ? { list, how, left: left - 1 } : null;
  };
  const take = (raw: string): void => {
    const text = plain(raw);
    if (text === '') return;
    follow(text);
    if (answered?.test(text)) answers.push(...mains.splice(0));
    for (const [i, parse] of parsers.entries()) {
      const error = parse(text, before);
      if (!error) continue;
      keep(found[i] ?? [], error, text);
      break;
    }
    before = text;
    finished = final.length > 0 || (mains.length >= most && following === null);
  };

  return {
    push(pushed) {
      // What is written over on a terminal (progress in per cent) are lines, too.
      const text = pushed.replaceAll('\r', '\n');
      let start = 0;
      while (!finished && start < text.length) {
        const newline = text.indexOf('\n', start);
        const end = newline < 0 ? text.length : newline;
        if (!skipping) line += text.slice(start, Math.min(end, start + LINE_MOST - line.length));
        start = end + 1;
        if (newline < 0) break;
        if (!skipping && line) take(line);
        line = '';
        skipping = false;
      }
    },
    skip() {
      line = '';
      before = '';
      following = null;
      skipping = true;
    },
    done: () => finished,
    finish() {
      if (!finished && line) take(line);
      line = '';
      for (const answer of answers.splice(0)) keep(mains, answer, '');
      return found.find((errors) => errors.length > 0) ?? [];
    },
  };
}

const isSame = (a: LogError, b: LogError): boolean =>
  a.file === b.file && a.line === b.line && a.message === b.message;

const ESC = '\u001b';
/** Colours, and the links that gcc makes of its options. */
const ESCAPES = new RegExp(`${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^\u0007${ESC}]*(?:\u0007|${ESC}\\\\))`, 'g');
/** What is no text but orders to a terminal, and what ends a line for JavaScript alone. */
const UNSEEN = /[^\P{Cc}\t]/gu;
const SEPARATORS = /[\u2028\u2029]/g;

const plain = (line: string): string =>
  line.replace(ESCAPES, '').replace(UNSEEN, '').replace(SEPARATORS, ' ').trimEnd();
