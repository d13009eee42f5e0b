/** What `doctor` says of the Greenwave that a gate waits for. */
import { afterEach, expect, test } from 'vitest';
import { policy } from '../scenarios/scenes.ts';
import { OLD } from '../scenarios/stage.ts';
import { greenwave } from '../tell/fakes.ts';
import { closeHubs, linesOf } from './doctor-setup.ts';

afterEach(closeHubs);

const POLICY = {
  id: 'kernel',
  product_versions: ['c9s'],
  decision_contexts: ['kernel_promotion'],
  rules: [{ test_case_name: 'boot.tier1' }],
};

async function told(url: string, productVersion = 'c9s'): Promise<string[]> {
  const settings = { url, productVersion, decisionContext: 'kernel_promotion', timeout: 5_000 };
  const lines = await linesOf({
    gate: policy({ wait_for: 'greenwave' }),
    rest: { greenwave: { ...settings, header_files: {} } },
  });
  return lines.filter((line) => line.includes('reenwave'));
}

test('it is asked about a kernel of the gate: no policy, or nobody there, is wrong', async () => {
  const wave = await greenwave([POLICY], []);
  expect(await told(wave.url)).toEqual([
    `ok gate c9s: Greenwave would not let ${OLD} through: 1 of 1 required results missing`,
  ]);
  const [unknown] = await told(wave.url, 'c10s');
  expect(unknown).toMatch(
    /^wrong gate c9s: Greenwave: 404: Found no applicable policies .* \| mend product_version/,
  );
  await wave.close();
  const [gone] = await told(wave.url);
  expect(gone).toMatch(/^wrong gate c9s: Greenwave 127.0.0.1:\d+: .* \| see whether url in \[greenwave\]/);
});

test('a gate that does not wait for it asks nothing', async () => {
  expect((await linesOf({})).filter((line) => line.includes('reenwave'))).toEqual([]);
});
