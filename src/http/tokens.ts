/**
 * Who may speak by the API: a file that names persons and the hashes of their tokens, a line each. It holds no token, so
 * whoever reads it can speak for nobody; whoever writes it can let anybody in.
 */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import type { Logger } from 'pino';
import { readText } from '../files/read.ts';
import { TokensError } from './error.ts';

/** Somebody with a token. */
export interface Person {
  readonly name: string;
  /** `read`: may only look. */
  readonly right: 'write' | 'read';
}

/** A person, and which of the tokens it was that named them. */
export interface Holder extends Person {
  readonly token: string;
}

interface Entry {
  readonly hash: Buffer;
  readonly person: Person;
}

/** No file of tokens is longer, in bytes. */
const LONGEST = 1_048_576;
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._@+-]{0,99}$/u;

/** Whether a person may be called so: what is written beside verdicts is one word. */
export const isName = (name: string): boolean => NAME.test(name);

/** A new token: 256 random bits, so nobody guesses it, and its plain hash will do. */
export const newToken = (): string => `kmg_${randomBytes(32).toString('base64url')}`;

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** The line of the file that lets the holder of a token in. */
export const lineFor = (token: string, { name, right }: Person): string =>
  `sha256:${hashOf(token).toString('hex')} ${name}${right === 'read' ? ' read' : ''}\n`;

/**
 * Read what a file of tokens says: `sha256:HEX NAME`, with `read` behind for who may only look; `#` begins a comment.
 * @param file its name, in messages
 * @throws TokensError with every mistake
 */
export function parseTokens(text: string, file: string): Entry[] {
  const mistakes: string[] = [];
  const entries = new Map<string, Entry>();
  for (const [i, whole] of text.split('\n').entries()) {
    const words = whole.replace(/#.*/, '').trim().split(/\s+/);
    if (words[0] === '') continue;
    const wrong = mistakeIn(words, entries);
    // What stands there may be a token that somebody took for its hash.
    if (wrong !== undefined) {
      mistakes.push(`${file}:${i + 1}: ${wrong}`);
      continue;
    }
    const [hash = '', name = '', right] = words;
    const person: Person = { name, right: right === undefined ? 'write' : 'read' };
    entries.set(hash, { hash: Buffer.from(hash.replace('sha256:', ''), 'hex'), person });
  }
  if (mistakes.length > 0) throw new TokensError(mistakes.join('\n'));
  return [...entries.values()];
}

function mistakeIn(
  [hash = '', name, right, ...more]: readonly string[],
  known: ReadonlyMap<string, Entry>,
): string | undefined {
  if (!/^sha256:[0-9a-f]{64}$/.test(hash))
    return 'expected "sha256:" and 64 digits 0-9 a-f, then a name, as "kmod-gate token new" prints it; a token itself has no place here';
  if (name === undefined) return 'no name behind the hash: say whose token it is';
  if (!isName(name)) return 'the name must be letters, digits and ._@+-, and begin with a letter or digit';
  if ((right !== undefined && right !== 'read') || more.length > 0)
    return 'behind the name only "read" may stand, for who may only look';
  if (known.has(hash)) return "this token stands there already: each token is one person's";
  return undefined;
}

/**
 * Read a file of tokens.
 * @throws TokensError where it cannot be read, others may write or read it, or something in it is wrong
 */
export function openTokens(file: string): Entry[] {
  let text: string;
  try {
    const handle = openSync(file, 'r');
    try {
      const mistake = mistakeOf(fstatSync(handle));
      if (mistake !== undefined) throw new TokensError(`${file}: ${mistake}`);
      text = readText(handle);
    } finally {
      closeSync(handle);
    }
  } catch (cause) {
    if (cause instanceof TokensError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TokensError(
      `${file}: cannot be read: ${why}; "kmod-gate token new NAME" makes it, tokens in [http] names it`,
      { cause },
    );
  }
  return parseTokens(text, file);
}

function mistakeOf(stats: Stats): string | undefined {
  const own = process.getuid?.();
  if (!stats.isFile()) return 'is no file';
  if (stats.size > LONGEST) return 'is over 1 MiB long: that is no list of tokens';
  // Windows has neither owners nor modes of this kind.
  if (own === undefined) return undefined;
  if (stats.uid !== 0 && stats.uid !== own)
    return "belongs to another user, who could let anybody in; it must be the gate's own, or root's";
  if ((stats.mode & 0o027) !== 0)
    return 'others may write or read it, and so let anybody in; "chmod 600" it, or 640';
  return undefined;
}

/** Tells whose a token is, by the file as it is now. */
export interface Keyring {
  /**
   * @returns undefined where nobody has that token
   * @throws TokensError where the file cannot be used now: then nobody is let in
   */
  holderOf(token: string): Holder | undefined;
}

/**
 * The keyring of a file, which is read again whenever it changes.
 * @param log is told once where a changed file cannot be used
 * @throws TokensError where it cannot be used
 */
export function openKeyring(file: string, log: Logger): Keyring {
  let sign = signOf(file);
  let known: readonly Entry[] | TokensError = openTokens(file);
  function entries(): readonly Entry[] {
    const now = signOf(file);
    if (now !== sign) {
      sign = now;
      known = orError(() => openTokens(file));
      if (known instanceof TokensError) log.error({ reason: known.message }, 'nobody is let in by a token');
      else log.info(`read ${file} again`);
    }
    if (known instanceof TokensError) throw known;
    return known;
  }
  return {
    holderOf(token) {
      const hash = hashOf(token);
      let found: Person | undefined;
      // All are looked at, so that how long it takes tells nothing.
      for (const entry of entries()) if (timingSafeEqual(entry.hash, hash)) found = entry.person;
      return found && { ...found, token: hash.toString('hex') };
    },
  };
}

function orError(read: () => Entry[]): Entry[] | TokensError {
  try {
    return read();
  } catch (error) {
    if (error instanceof TokensError) return error;
    throw error;
  }
}

/** Another text whenever the file is another, or says something else. */
function signOf(file: string): string {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats ? [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join('.') : 'none';
}
