/** What a hub is able to do, and what the gate does where it is not. */
import * as koji from './calls.ts';
import type { Hub } from './hub.ts';

/** Found by asking: what a hub's version promises, its configuration may have taken away. */
export interface HubFeatures {
  /** Such as `1.35.3`; null where the hub is too old to tell (before 1.25). */
  readonly version: string | null;
  /** Repos are made when somebody asks (`repo.request`, 1.35), else when kojira sees that a tag has changed. */
  readonly repoRequests: boolean;
  /** Sessions travel in headers (1.31), else in the URL. */
  readonly sessionHeaders: boolean;
  /** The sidetag plugin is there. */
  readonly sideTags: boolean;
  /** Builds may be drafts, which share an NVR (1.34). */
  readonly drafts: boolean;
}

/** Ask a hub what it can do. Throws HubError where it does not answer. */
export async function detectFeatures(hub: Pick<Hub, 'read'>): Promise<HubFeatures> {
  const methods = new Set(await hub.read(koji.listMethods()));
  const version = methods.has('getKojiVersion') ? await hub.read(koji.getKojiVersion()) : null;
  return {
    version,
    repoRequests: methods.has('repo.request'),
    sessionHeaders: isSince(version ?? '', 1, 31),
    sideTags: methods.has('createSideTag'),
    drafts: methods.has('promoteBuild'),
  };
}

function isSince(version: string, major: number, minor: number): boolean {
  const [x = 0, y = 0] = version.split('.').map(Number);
  return x > major || (x === major && y >= minor);
}

/** `Koji 1.35.3`. */
export const nameHub = ({ version }: HubFeatures): string =>
  version ? `Koji ${version}` : 'Koji before 1.25';

/** One feature in words: what is there, or what is done instead. */
export interface FeatureNote {
  readonly there: boolean;
  readonly text: string;
}

/** A line for each feature. */
export function describeFeatures(features: HubFeatures): FeatureNote[] {
  const note = (there: boolean, has: string, instead: string) => ({ there, text: there ? has : instead });
  return [
    note(
      features.repoRequests,
      'repos are made when asked for (repo.request)',
      'no repo.request: repo = "pin" waits for the repo that kojira makes after a tag has changed',
    ),
    note(
      features.sessionHeaders,
      'sessions travel in headers',
      "no session headers: sessions travel in the URL, so keep the hub's access log from others",
    ),
    note(
      features.sideTags,
      'side tags (the sidetag plugin)',
      'no side tags: repo = "sidetag" cannot work; "wait" and "pin" do',
    ),
    note(features.drafts, 'draft builds', 'no draft builds: every build has an NVR of its own'),
  ];
}
