/** What goes wrong between client and hub: Koji's faults and broken connections, and what each means for a call. */
import { HubError, type HubErrorKind } from './hub.ts';
import { TransportError } from './transport.ts';
import { Fault, XmlRpcError } from './xmlrpc.ts';

/**
 * Koji's fault codes (`koji.GenericError` and its children): what each means and, where that is something to do, what
 * to do about it.
 */
const FAULTS: Readonly<Record<number, readonly [meaning: string, mend?: string]>> = {
  1: ['unexpected error on the hub', "the hub's log tells more"],
  1000: ['error'],
  1001: ['locked', 'it is tried again'],
  1002: ['no such session, or bad credentials', 'see the login in [koji]'],
  1003: ['tag error', '"kmod-gate doctor" checks tags and their package lists'],
  1004: ['not allowed', "the hub's policy or a permission must let the gate: deploy/koji-setup.md"],
  1005: ['build error'],
  1006: ['user locked by another session', 'it is tried again'],
  1007: ['session expired', 'it is tried again with a new login'],
  1008: ['call out of sequence'],
  1009: ['call repeated'],
  1010: ['build refused before it began'],
  1011: ['build refused after it was done'],
  1012: ['build root error'],
  1013: ['call that is no more', 'this hub is newer than this kmod-gate knows'],
  1014: ['hub offline', 'it is tried again'],
  1015: ['live CD error'],
  1016: ['plugin error', "a plugin of the hub failed: the hub's log tells more"],
  1017: ['plugin error', "a plugin of the hub failed: the hub's log tells more"],
  1018: ['appliance error'],
  1019: ['wrong parameters', 'this hub and this kmod-gate do not fit: "npm run test:hub" tells where'],
  1020: ['import error'],
  1021: ['configuration error', "the hub's admin must mend its configuration"],
  1022: ['live media error'],
  1023: ['Kerberos error', 'see keytab and principal in [koji]'],
  1024: ['a name that the hub does not take'],
};
/** Faults whose words say more than their code. */
const SPECIAL: readonly (readonly [RegExp, readonly [meaning: string, mend: string]])[] = [
  [/^Invalid method/, ['the hub does not have it', '"kmod-gate doctor" tells what is done instead']],
  [/tag is locked/, ['locked tag', 'koji edit-tag --unlock TAG, or another tag']],
];
/** An exception of the hub's own, with a traceback in its text. */
export const UNEXPECTED = 1;
/** Those that its database meets with in passing; the hub undoes what the call had done. */
const DATABASE = /\b(psycopg2|OperationalError|InterfaceError|QueryCanceled|DeadlockDetected)\b/;
/** The session is over. The hub says so before it carries out a call. */
export const SESSION_OVER = [1002, 1007];
/** Nothing was done, and later it may be. */
const NOT_NOW = [1001, 1006, 1014, ...SESSION_OVER];
/** The hub has seen this call's number, or a later one: whether it carried out this very call is not known. */
const OUT_OF_ORDER = [1008, 1009];

export function isFault(error: unknown, codes: readonly number[]): boolean {
  return error instanceof Fault && codes.includes(error.code);
}

/** Whether a lost call matters. */
export type Purpose = 'read' | 'write';

/** What an error of an exchange means for the call. */
export function failure(error: unknown, method: string, purpose: Purpose): HubError {
  if (error instanceof HubError) return error;
  const lost: HubErrorKind = purpose === 'write' ? 'unknown' : 'unavailable';
  if (error instanceof Fault) {
    const { code, text } = error;
    const said = withoutTraceback(text);
    const notNow = NOT_NOW.includes(code) || (code === UNEXPECTED && DATABASE.test(said));
    const kind = OUT_OF_ORDER.includes(code) ? lost : notNow ? 'unavailable' : 'refused';
    const special = SPECIAL.find(([pattern]) => pattern.test(text))?.[1];
    const [meaning, mend] = special ?? FAULTS[code] ?? [];
    const words = `fault ${code}${meaning ? `, ${meaning}` : ''}${mend ? `; ${mend}` : ''}`;
    return new HubError(kind, method, `${method}: ${said} (${words})`, { code });
  }
  const message = `${method}: ${error instanceof Error ? error.message : String(error)}`;
  if (error instanceof TransportError) {
    const kind = saysNo(error.status) ? 'refused' : error.sent ? lost : 'unavailable';
    return new HubError(kind, method, message, { cause: error });
  }
  return new HubError(error instanceof XmlRpcError ? lost : 'refused', method, message, { cause: error });
}

/** A redirect or a client's error, but for those that mean "not now". */
function saysNo(status = 0): boolean {
  return status >= 300 && status < 500 && ![408, 425, 429].includes(status);
}

/**
 * The exception that ends a Python traceback. Other text as it is. What a debugging hub appends, the values of all
 * variables, passwords among them, goes nowhere.
 */
export function withoutTraceback(text: string): string {
  const [trace = ''] = text.split(/\n?Locals by frame/);
  if (!trace.startsWith('Traceback (most recent call last)')) return trace.trim();
  const lines = trace.trim().split('\n');
  return lines.findLast((line) => /^[\w.]+(:|$)/.test(line)) ?? lines.at(-1) ?? '';
}
