/** The lines of the doctor's report, and what all its parts use to make them. */
import { type Answer, HubError } from '../../koji/hub.ts';

/** One line of the doctor's report. */
export interface Check {
  /** `hub`, `store`, `gate NAME`, `bus`, `waiverdb`, or `http`. */
  readonly area: string;
  /** `unsure`: it cannot be told without doing it. `info`: good to know, and neither good nor bad. */
  readonly status: 'ok' | 'wrong' | 'unsure' | 'info';
  readonly what: string;
  /** What to do about it. */
  readonly mend?: string;
}

export const ok = (area: string, what: string): Check => ({ area, status: 'ok', what });
export const info = (area: string, what: string, mend?: string): Check => ({
  area,
  status: 'info',
  what,
  ...(mend !== undefined && { mend }),
});
export const wrong = (area: string, what: string, mend: string): Check => ({
  area,
  status: 'wrong',
  what,
  mend,
});
export const unsure = (area: string, what: string, mend: string): Check => ({
  area,
  status: 'unsure',
  what,
  mend,
});

/** Where nobody but the people of the hub can tell more. */
export const ASK = 'ask the hub admin';

/** A call whose HubError is an answer too. */
export async function attempt<T>(call: Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await call };
  } catch (error) {
    if (error instanceof HubError) return { ok: false, error };
    throw error;
  }
}

/** The first few of many. */
export function list(names: readonly string[]): string {
  const few = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${few}, …` : few;
}
