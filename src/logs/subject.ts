/** Compile errors in the kernel's words: what a function, type or member that an error names was and is. Pure. */
import type { KernelBtfs } from '../btf/graph.ts';
import { createWords, type Declared, type Subject } from '../btf/words.ts';
import type { LogError } from '../core/model.ts';
import { FOREIGN, QUOTED } from './buildlog.ts';

/** An error, and what the kernels declare of what it names; null where that is not known. */
export interface ExplainedError {
  readonly error: LogError;
  readonly declared: Declared | null;
}

/**
 * @param errors of build logs, as `findErrors` has them
 * @param btfs the types of the kernel that the kmod was built against last, and of the one that it fails with
 * @throws SymbolFileError of types that make no sense
 */
export function explainErrors(errors: readonly LogError[], btfs: KernelBtfs): ExplainedError[] {
  const told = errors.map((error) => ({ error, subject: error.kind === 'source' ? subjectOf(error) : null }));
  if (told.every(({ subject }) => subject === null))
    return errors.map((error) => ({ error, declared: null }));
  const words = createWords(btfs);
  return told.map(({ error, subject }) => {
    const declared = subject && words(subject);
    // In a language that is not known here, a name may be any: it counts if there is something to say of it.
    return { error, declared: declared && (declared.changed || !isForeign(error)) ? declared : null };
  });
}

const isForeign = ({ message }: LogError): boolean => FOREIGN.test(message);

/** `%N` is a name, `%T` a type, `%A` whatever stands in quotes; of clang, gcc and rustc. */
const FORMS: readonly (readonly [form: RegExp, kind: Form])[] = (
  [
    ['%T(?: \\{aka %A\\})? has no member named %N', 'member'],
    ['no member named %N in %T', 'member'],
    ['field designator %N does not refer to any (?:non-static data member|field) in type %T', 'member'],
    ['struct %T has no field named %N', 'member'],
    ['no field %N on type %T', 'member'],
    ['unknown field %N specified in initializer', 'field'],
    ['initialization of %A(?: \\{aka %A\\})? from incompatible pointer type', 'pointer'],
    ['incompatible (?:function )?pointer types initializing %A with an expression of type', 'pointer'],
    ['too (?:few|many) arguments to function %N', 'function'],
    ['passing argument \\d+ of %N', 'function'],
    ['incompatible type for argument \\d+ of %N', 'function'],
    ['implicit declaration of function %N', 'function'],
    ['call to undeclared (?:library )?function %N', 'function'],
    ['conflicting types for %N', 'function'],
    ['static declaration of %N', 'function'],
    ['undefined reference to %N', 'function'],
    ['cannot find function %N', 'function'],
    ['^(\\w+) undefined$', 'function'],
    ['^undefined symbol: (\\w+)$', 'function'],
    ['unknown type name %T', 'type'],
    ['cannot find type %T', 'type'],
    ['(?:undefined|incomplete|definition of) type %T', 'type'],
    ['%N undeclared', 'name'],
    ['use of undeclared (?:identifier|label) %N', 'name'],
    ['cannot find value %N', 'name'],
  ] as const
).map(([form, kind]) => [patternOf(form), kind]);

type Form = Subject['kind'] | 'pointer';

/** Named groups may be there once only: of a form's several `%A` the first counts. */
function patternOf(form: string): RegExp {
  const name = (group: string, inner: string) => QUOTED.replace(/\([^()]*\)/, `(?<${group}>${inner})`);
  return new RegExp(
    form
      .replace('%N', name('name', '\\w+'))
      .replace('%T', name('type', '[\\w ]+|[\\w:]+'))
      .replace('%A', QUOTED.replace('(', '(?<any>'))
      .replaceAll('%A', QUOTED.replace('(', '(?:')),
    'u',
  );
}

/** What an error is about; null where it says nothing that a kernel could declare. */
export function subjectOf({ message, identifier }: LogError): Subject | null {
  for (const [form, kind] of FORMS) {
    const match = form.exec(message);
    if (!match) continue;
    const { name = match[1] ?? '', type = '', any = '' } = match.groups ?? {};
    if (kind === 'member') return { kind, of: plainType(type), name };
    if (kind === 'type') return { kind, name: plainType(type) };
    if (kind === 'field') return { kind, name, type: null };
    if (kind === 'pointer') return identifier ? { kind: 'field', name: identifier, type: any } : null;
    return { kind, name };
  }
  if (identifier === undefined) return null;
  if (/arguments to function call/.test(message)) return { kind: 'function', name: identifier };
  if (!FOREIGN.test(message)) return null;
  const [of] = [...message.matchAll(STRUCT)].map(([, struct = '']) => plainType(struct));
  return of === undefined ? { kind: 'name', name: identifier } : { kind: 'member', of, name: identifier };
}

/** A struct or union in quotes, in whatever language. */
const STRUCT = new RegExp(QUOTED.replace(/\([^()]*\)/, '((?:const )?(?:struct|union) \\w+)'), 'gu');

/** Without qualifiers; rustc's `bindings::file` is a struct. */
const plainType = (type: string): string =>
  type.includes('::')
    ? `struct ${type.split('::').at(-1)}`
    : type.replace(/\b(?:const|volatile) /g, '').trim();
