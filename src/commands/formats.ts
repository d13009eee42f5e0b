/** In which form a command shows what it found, and where. */
import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { visibleLines } from '../report/visible.ts';
import { CheckError } from './error.ts';
import type { Findings } from './findings.ts';
import type { Output } from './text.ts';

/** By format how files of it end. */
export const ENDINGS = {
  text: '.txt',
  markdown: '.md',
  json: '.json',
  junit: '.xml',
  sarif: '.sarif',
} as const;
export type Format = keyof typeof ENDINGS;
export const FORMATS = Object.keys(ENDINGS) as Format[];

export interface ShowOptions {
  /** JSON on standard output: the same as the format `json`. */
  readonly json: boolean;
  /** On standard output; text unless told. */
  readonly format?: Format;
  /** Files to write beside, each in the format that its ending tells. */
  readonly outputs?: readonly string[];
}

/** Told by a file's ending; undefined where it tells none. */
export const formatOfFile = (file: string): Format | undefined =>
  FORMATS.find((format) => file.toLowerCase().endsWith(ENDINGS[format]));

/** The same findings in each form. */
export interface Shown {
  readonly text: (output: Output) => string;
  /** Plain data. */
  readonly json: () => unknown;
  readonly findings: () => Findings;
}

/**
 * Write to standard output, and to the files named.
 * @throws CheckError for a file that cannot be written, or whose ending tells no format
 */
export async function show(output: Output, options: ShowOptions, shown: Shown): Promise<void> {
  const { json, format = json ? 'json' : 'text', outputs = [] } = options;
  output.write(await textIn(format, shown, output));
  for (const file of outputs) {
    const wanted = formatOfFile(file);
    if (!wanted) throw new CheckError(`--output ${file}: its ending tells no format`);
    try {
      writeFileSync(file, visibleLines(await textIn(wanted, shown, { ...output, colour: false })));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      takeAway(file);
      throw new CheckError(`--output ${file}: cannot be written: ${why}`);
    }
  }
}

/** Half a report would be taken for a whole one. A device, a pipe or a folder stays. */
function takeAway(file: string): void {
  try {
    if (lstatSync(file).isFile()) rmSync(file);
  } catch {
    // It was not made, or is not ours to take away.
  }
}

async function textIn(format: Format, { text, json, findings }: Shown, output: Output): Promise<string> {
  switch (format) {
    case 'text':
      return text(output);
    case 'json':
      return `${JSON.stringify(json(), null, 2)}\n`;
    case 'markdown':
      return (await import('./markdown.ts')).markdown(findings());
    case 'junit':
      return (await import('./junit.ts')).junit(findings());
    case 'sarif':
      return `${JSON.stringify((await import('./sarif.ts')).sarif(findings()), null, 2)}\n`;
  }
}
