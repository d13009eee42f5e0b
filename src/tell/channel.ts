/** What a channel is: somebody who is told of facts, in messages of their own kind. */
import { createHash } from 'node:crypto';
import type { Outgoing, Telling } from '../store/outbox.ts';

export interface Channel {
  /** Its name in the store, in the log and for people: it stays the same, or what waits is dropped. */
  readonly name: string;
  readonly tells: readonly Telling[];
  /** Whether one that cannot be told holds up the later ones. */
  readonly ordered: boolean;
  /** How long (ms) it waits for more of the same kernel at the same gate, of which then only the newest is told; 0: not at all. */
  readonly gather: number;
  /** Until when (ms, by the gate's clock) nobody is to be told; undefined: now is fine. */
  quietUntil?(now: number): number | undefined;
  /** Which messages a fact makes, by names that stay the same; none: there is nothing to tell. */
  divide(row: Outgoing): Promise<readonly string[]>;
  /**
   * Tell it, and come back once the other side has it.
   * @returns of which matter what was told, so that it can be asked whether there is something new; undefined: nobody asks.
   * NOTHING_NEW: it was not told
   * @throws TellError
   */
  deliver(row: Outgoing): Promise<Told | typeof NOTHING_NEW | undefined>;
  close(): Promise<void>;
}

/** There is nothing to be told. */
export const NOTHING_NEW = 'nothing new';

/** What was told of a matter. */
export interface Told {
  readonly matter: string;
  readonly digest: string;
}

/** Why something could not be told. */
export class TellError extends Error {
  override readonly name = 'TellError';
  /** Trying again changes nothing. */
  readonly forGood: boolean;

  constructor(message: string, options: { forGood?: boolean; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.forGood = options.forGood ?? false;
  }
}

/**
 * The id of a message: the same whenever it is made again, and no other message's. A UUID (version 8, RFC 9562) of the
 * store, the channel, the run, the fact and the part.
 */
export function messageId(installation: string, row: Omit<Outgoing, 'madeAt' | 'nextAt' | 'tries'>): string {
  const { channel, run, fact, what, part } = row;
  const hash = createHash('sha256')
    .update(JSON.stringify([installation, channel, run, fact, what, part]))
    .digest();
  hash[6] = 0x80 | ((hash[6] ?? 0) & 0x0f);
  hash[8] = 0x80 | ((hash[8] ?? 0) & 0x3f);
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
