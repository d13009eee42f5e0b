/** Archives that tar packs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** One file in a tar, and a link `kabi-current` to its folder. @param options of tar */
export function tarOf(path: string, content: string, ...options: string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'kmod-gate-tar-'));
  try {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), content);
    execFileSync('ln', ['-s', dirname(path), join(folder, 'kabi-current')]);
    return execFileSync('tar', ['-c', '-C', folder, ...options, '.'], { maxBuffer: 2 ** 26 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
