/** `negotiateToken` in a process of its own. */
import { execFileSync } from 'node:child_process';

const SCRIPT = `
  import { negotiateToken } from './dist/koji/kerberos.js';
  await negotiateToken('localhost', { keytab: process.argv[1] }).then(
    () => process.stdout.write('a token'),
    ({ kind, message }) => process.stdout.write(kind + ': ' + message),
  );`;

export async function tokenInChild(keytab: string): Promise<string> {
  return execFileSync(process.execPath, ['--input-type=module', '-e', SCRIPT, keytab], { encoding: 'utf8' });
}
