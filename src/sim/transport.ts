/** The way from a hub client to a world within the process: real XML-RPC documents, and no socket. */
import { decodeCall } from '../koji/xmlrpc.ts';
import { answerCall } from './server.ts';
import type { World } from './world.ts';

export type Call = ReturnType<typeof decodeCall>;

/** A document that a client sends, before the world has it. */
export interface Letter {
  /** The client's deadline, in ms. */
  readonly timeout: number;
  /** What it says. */
  call(): Call;
  /** Let the world carry out a call in this one's session. Returns the document that the hub answers with. */
  answer(call: Call): string;
}

/**
 * A transport for `connectHub`.
 * @param carry what becomes of a letter on its way: by default the world answers it at once
 */
export function transportTo(world: World, carry = (letter: Letter): string => letter.answer(letter.call())) {
  return ({ timeout }: { readonly timeout: number }) => ({
    async post(
      body: string,
      headers: Readonly<Record<string, string>> = {},
      _fresh?: boolean,
      query?: URLSearchParams,
      permit?: () => void,
    ): Promise<string> {
      permit?.();
      const lower = Object.fromEntries(Object.entries(headers).map(([name, of]) => [name.toLowerCase(), of]));
      const from = { headers: lower, url: query ? `/?${query}` : '/' };
      return carry({
        timeout,
        call: () => decodeCall(body),
        answer: (call) => answerCall(world, call, from),
      });
    },
    skew: () => undefined,
    close: () => {},
  });
}
