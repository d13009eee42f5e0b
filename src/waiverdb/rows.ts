/**
 * Which waivers of a WaiverDB count, from the records that it has of one testcase. Pure. A record is never changed there: a
 * newer one of the same subject, testcase and scenario makes it obsolete, and one with `waived: false` takes it back.
 * (WaiverDB's API: release-engineering/waiverdb, waiverdb/api_v1.py, fields.py)
 */
import { z } from 'zod';

/** What tells a record apart, also where the rest of it cannot be read. */
const stub = z.object({ id: z.int().min(1), subject_type: z.string(), subject_identifier: z.string() });

/** A name of a kernel build, in which nothing is a pattern. */
const nvr = z.string().regex(/^[\w.+~^]+(?:-[\w.+~^]+)*-[\w.+~^]+-[\w.+~^]+(?:,draft_\d+)?$/);

const record = z.object({
  id: z.int().min(1),
  subject_type: z.literal('koji_build'),
  subject_identifier: nvr,
  testcase: z.string(),
  product_version: z.string(),
  /** Of a kmod; null: of all. */
  scenario: z
    .string()
    .regex(/^[\w.+-]+$/)
    .nullable(),
  waived: z.boolean(),
  username: z.string().trim().min(1),
  proxied_by: z.string().nullish(),
  comment: z.string().nullish(),
  /** ISO 8601, in UTC, of which it names no zone. */
  timestamp: z.string(),
});
export type WaiverRecord = z.infer<typeof record>;

/** What is looked for. */
export interface Wanted {
  readonly testcase: string;
  readonly productVersion: string;
}

export interface Read {
  /** Records that waive now, oldest first. */
  readonly holding: readonly WaiverRecord[];
  /** By number of a record that waived, who has taken it back. */
  readonly takenBack: ReadonlyMap<number, string>;
  /** All records that could be read, by number. */
  readonly records: ReadonlyMap<number, WaiverRecord>;
  /** What could not be read, for people. */
  readonly unread: readonly string[];
}

/** A list in which a record cannot even be told apart, so that it may take back any other. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/**
 * @param isOwn whether a record was written by this gate: its waiver is known here already
 * @throws UnreadableError where nothing of the list can be relied on
 */
export function readRows(
  rows: readonly unknown[],
  { testcase, productVersion }: Wanted,
  isOwn: (row: WaiverRecord) => boolean,
): Read {
  const records = new Map<number, WaiverRecord>();
  /** Those that take back: all that are not read do, of their subject, as they may. */
  const against: {
    readonly id: number;
    readonly subject: string;
    readonly scenario: string | null;
    readonly by: string;
  }[] = [];
  const unread: string[] = [];
  for (const row of rows) {
    const known = record.safeParse(row);
    if (known.success) {
      const { id, subject_identifier: subject, scenario, waived, username } = known.data;
      // Whatever the service sends beside what it was asked for.
      if (known.data.testcase !== testcase || known.data.product_version !== productVersion) continue;
      records.set(id, known.data);
      if (!waived && !isOwn(known.data)) against.push({ id, subject, scenario, by: username });
      continue;
    }
    const part = stub.safeParse(row);
    if (!part.success) throw new UnreadableError('a record without a number or a subject');
    const { id, subject_type: type, subject_identifier: subject } = part.data;
    // Another kind of subject is no kernel.
    if (type !== 'koji_build') continue;
    const [issue] = known.error.issues;
    unread.push(`record ${id} of ${subject}: ${issue?.path.join('.')}: ${issue?.message}`);
    against.push({ id, subject, scenario: null, by: `record ${id}, which cannot be read` });
  }
  const overlap = (a: string | null, b: string | null) => a === null || b === null || a === b;
  const waiving = [...records.values()].filter(({ waived }) => waived).toSorted((a, b) => a.id - b.id);
  const takenBack = new Map<number, string>();
  for (const { id, subject_identifier: subject, scenario } of waiving) {
    const by = against.find(
      (one) => one.id > id && one.subject === subject && overlap(one.scenario, scenario),
    );
    if (by) takenBack.set(id, by.by);
  }
  const foreign = waiving.filter((row) => !isOwn(row) && !takenBack.has(row.id));
  const holding = foreign.filter(
    (row) =>
      !foreign.some(
        (newer) =>
          newer.id > row.id &&
          newer.subject_identifier === row.subject_identifier &&
          newer.scenario === row.scenario,
      ),
  );
  return { holding, takenBack, records, unread };
}

/** When a record was made, in ms; undefined where it does not tell. */
export function madeAt({ timestamp }: Pick<WaiverRecord, 'timestamp'>): number | undefined {
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(timestamp) ? timestamp : `${timestamp}Z`;
  const at = Date.parse(zoned);
  return Number.isNaN(at) ? undefined : at;
}
