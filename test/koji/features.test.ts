import { describe, expect, test } from 'vitest';
import { connectHub } from '../../src/koji/client.ts';
import { describeFeatures, detectFeatures, type HubFeatures, nameHub } from '../../src/koji/features.ts';
import { startStub } from './stub.ts';

/** What is found in a hub that has these methods, and tells this version where it is asked. */
async function featuresOf(methods: string[], version = ''): Promise<HubFeatures> {
  const stub = await startStub(({ method }) => (method === 'system.listMethods' ? methods : version));
  const hub = connectHub({ server: stub.server, authtype: 'noauth', timeout: 5000 });
  try {
    return await detectFeatures(hub);
  } finally {
    await hub.close();
    await stub.close();
  }
}

const BASE = ['multiCall', 'build', 'tagBuild'];

describe('what a hub can do is found by asking', () => {
  test.each<[string, string[], string, string[]]>([
    [
      'Koji 1.35.3',
      [...BASE, 'getKojiVersion', 'repo.request', 'createSideTag', 'promoteBuild'],
      '1.35.3',
      ['repoRequests', 'sessionHeaders', 'sideTags', 'drafts'],
    ],
    [
      'Koji 1.35.3',
      [...BASE, 'getKojiVersion', 'repo.request'],
      '1.35.3',
      ['repoRequests', 'sessionHeaders'],
    ],
    ['Koji 1.31.0', [...BASE, 'getKojiVersion'], '1.31.0', ['sessionHeaders']],
    ['Koji 1.30.1', [...BASE, 'getKojiVersion', 'createSideTag'], '1.30.1', ['sideTags']],
    ['Koji 2.0', [...BASE, 'getKojiVersion'], '2.0', ['sessionHeaders']],
    ['Koji before 1.25', BASE, 'not asked for', []],
  ])('%s with %j', async (name, methods, version, expected) => {
    const features = await featuresOf(methods, version);
    expect(nameHub(features)).toBe(name);
    expect(Object.entries(features).flatMap(([key, is]) => (is === true ? [key] : []))).toEqual(expected);
  });

  test('each is said: what is there, or what is done instead', async () => {
    const old = describeFeatures(await featuresOf(BASE));
    expect(old.map(({ there }) => there)).toEqual([false, false, false, false]);
    expect(old.map(({ text }) => text)).toContain(
      'no repo.request: repo = "pin" waits for the repo that kojira makes after a tag has changed',
    );
  });
});
