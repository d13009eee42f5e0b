/** `[greenwave]`: whose decision gates with `wait_for = "greenwave"` wait for before they promote. */
import { z } from 'zod';
import { type Finding, maskUrl, valueAt } from './mistakes.ts';
import { filesAt, headerFiles } from './notice.ts';
import { otherHost } from './rules.ts';
import { duration, httpUrl, nonEmpty } from './values.ts';

export const greenwave = z.strictObject(
  {
    url: httpUrl,
    product_version: nonEmpty,
    decision_context: nonEmpty,
    header_files: headerFiles,
    timeout: duration.prefault('60s'),
    plaintext: z.boolean({ error: 'true or false' }).default(false),
  },
  { error: 'a [greenwave] table with url, product_version and decision_context' },
);

export interface GreenwaveSettings {
  /** Without `api/v1.0`. */
  readonly url: string;
  /** With `GATE` for the gate's name, as the next one. */
  readonly productVersion: string;
  readonly decisionContext: string;
  /** Headers whose values stand in files, such as a token. */
  readonly header_files: Readonly<Record<string, string>>;
  /** Of one question, ms: Greenwave asks others meanwhile. */
  readonly timeout: number;
}

/** `env` gives HOME. */
export const greenwaveSettings = (
  { url, product_version, decision_context, header_files, timeout }: z.infer<typeof greenwave>,
  env: NodeJS.ProcessEnv,
): GreenwaveSettings => ({
  ...{ url, productVersion: product_version, decisionContext: decision_context, timeout },
  header_files: filesAt(header_files, env),
});

/** Whoever can change its answers lets kernels through; and a gate that waits for it needs it. */
export function checkGreenwave(document: unknown): Finding[] {
  const url = otherHost(valueAt(document, ['greenwave', 'url']), 'http:');
  const plain =
    url && valueAt(document, ['greenwave', 'plaintext']) !== true
      ? [
          {
            path: ['greenwave', 'url'],
            message: `http:// to ${url.host} lets everybody on the way let kernels through: use https://, or set plaintext = true where that is meant`,
          },
        ]
      : [];
  const gates = valueAt(document, ['gate']);
  const known = valueAt(document, ['greenwave']) !== undefined;
  const each = (Array.isArray(gates) ? gates : []).flatMap((gate, index): Finding[] => {
    if (valueAt(gate, ['policy', 'wait_for']) !== 'greenwave') return [];
    const path = ['gate', index, 'policy', 'wait_for'];
    if (!known) return [{ path, message: 'needs a [greenwave] table that says where it is' }];
    const changes = ['tag', 'untag'].some((key) => {
      const tags = valueAt(gate, ['on_pass', key]);
      return Array.isArray(tags) && tags.length > 0;
    });
    return changes ? [] : [{ path, message: 'nothing waits for it: on_pass changes no tag' }];
  });
  return [...plain, ...each];
}

/** On one line. */
export function describeGreenwave({ url, productVersion, decisionContext }: GreenwaveSettings): string {
  return `${maskUrl(url)}, decision context ${decisionContext} of ${productVersion}`;
}
