/** Stablelists within packages: rpms of kernel-abi-stablelists, and the archives that dist-git makes them of. */
import type { Stablelist, SymbolTable } from '../kabi/model.ts';
import { parseStablelist, parseSymvers } from '../kabi/text.ts';
import type { ArchiveEntry } from './cpio.ts';

/** Once called whitelists. */
const LIST = /(?:^|\/)kabi_(?:stable|white)list_([^/]+)$/;
/** With CRCs; dist-git has them beside the lists. */
const WITH_CRCS = /(?:^|\/)Module\.kabi_([^/]+)$/;
/** `kabi-rhel94`, the folder of a release, and the link to the one that counts. */
const [RELEASE, CURRENT] = [/(?:^|\/)(kabi-[^/]+)\/[^/]+$/, /(?:^|\/)kabi-current$/];

/**
 * The lists of all architectures and releases that a package holds.
 * @param file its name, to blame in errors with the name of the list
 * @throws SymbolFileError
 */
export function stablelistsIn(entries: Iterable<ArchiveEntry>, file: string): Stablelist[] {
  const found: Stablelist[] = [];
  let current: string | undefined;
  for (const { name, kind, data } of entries) {
    if (kind === 'link' && CURRENT.test(name))
      current = data.toString('latin1').replace(/^.*\/(?=.)|\/$/g, '');
    if (kind !== 'file') continue;
    const release = RELEASE.exec(name)?.[1];
    const inside = `${file}: ${name}`;
    const [arch, crcsOf] = [LIST.exec(name)?.[1], WITH_CRCS.exec(name)?.[1]];
    const text = () => data.toString('latin1');
    const of = { ...(release && { release }) };
    if (arch) found.push({ ...parseStablelist(text(), inside), arch, ...of });
    else if (crcsOf)
      found.push({ ...listOfExports(inside.replace(/^.*\//, ''), parseSymvers(text(), inside)), ...of });
  }
  return found.map((list) => (list.release && list.release === current ? { ...list, current: true } : list));
}

/** A list that tells how its symbols are exported, as Module.symvers does. */
export function listOfExports(name: string, exports: SymbolTable): Stablelist {
  const arch = WITH_CRCS.exec(name)?.[1];
  return { name, symbols: new Set(exports.keys()), exports, ...(arch && { arch }) };
}
