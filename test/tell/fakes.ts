/**
 * ResultsDB and Greenwave as far as a gate meets them: what they take, refuse and answer is that of their documentation and
 * API descriptions (ResultsDB's APIDOCS and parsers, Greenwave's docs/policies, docs/decision_requirements and API).
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Result {
  readonly id: number;
  readonly testcase: { readonly name: string };
  readonly outcome: string;
  readonly note: string | null;
  readonly ref_url: string | null;
  readonly groups: readonly string[];
  readonly data: Readonly<Record<string, readonly string[]>>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}
type Json = Readonly<Record<string, unknown>>;
const refuse = (status: number, message: string): Answer => ({ status, body: { message } });

async function serve(
  answer: (method: string, path: string, body: unknown, headers: IncomingHttpHeaders) => Answer,
) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      let body: unknown;
      try {
        body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      } catch {}
      const { status, body: told } = answer(request.method ?? '', request.url ?? '', body, request.headers);
      const text = typeof told === 'string' ? told : JSON.stringify(told);
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** @param options `token`: whom API 3 lets in; `outage`: the next so many requests are answered by 503 */
export async function resultsdb(options: { token?: string; outage?: number } = {}) {
  const results: Result[] = [];
  let { outage = 0 } = options;
  const keep = (said: Omit<Result, 'id'>): Answer => {
    const result = { id: results.length + 1, ...said };
    results.push(result);
    return { status: 201, body: result };
  };
  const server = await serve((method, path, body, headers) => {
    if (outage-- > 0) return { status: 503, body: '<html>Service Unavailable</html>' };
    if (method !== 'POST') return refuse(405, 'Method Not Allowed');
    const json = (typeof body === 'object' && body !== null ? body : {}) as Json;
    if (path === '/api/v2.0/results') return version2(json);
    if (path === '/api/v3/results/brew-builds') {
      if (headers.authorization !== `Bearer ${options.token}`) return refuse(401, 'Unauthorized');
      return version3(json);
    }
    return refuse(404, 'Not found');
  });
  return { ...server, results };

  function version2(json: Json): Answer {
    const testcase = typeof json['testcase'] === 'string' ? { name: json['testcase'] } : json['testcase'];
    const name = (testcase as { name?: unknown } | undefined)?.name;
    if (typeof json['outcome'] !== 'string' || json['outcome'].trim() === '')
      return {
        status: 400,
        body: { validation_error: { body_params: [{ loc: ['outcome'], msg: 'Field required' }] } },
      };
    if (typeof name !== 'string' || name === '') return refuse(400, 'testcase name must be non-empty');
    const data = (json['data'] ?? {}) as Json;
    const colon = Object.keys(data).filter((key) => key.includes(':'));
    if (colon.length > 0) return refuse(400, `Colon not allowed in key name: ${JSON.stringify(colon)}`);
    return keep({
      testcase: { name },
      outcome: json['outcome'].trim().toUpperCase(),
      note: (json['note'] as string | undefined) ?? null,
      ref_url: (json['ref_url'] as string | undefined) ?? null,
      groups: (json['groups'] ?? []) as string[],
      data: Object.fromEntries(
        Object.entries(data).map(([key, value]) => [
          key,
          (Array.isArray(value) ? value : [value]).map(String),
        ]),
      ),
    });
  }

  function version3(json: Json): Answer {
    const wanted = [
      'outcome',
      'testcase',
      'ci_name',
      'ci_team',
      'ci_docs',
      'ci_email',
      'item',
      'brew_task_id',
    ];
    const missing = wanted.filter((key) => json[key] === undefined || json[key] === '');
    if (json['outcome'] === 'ERROR' && json['error_reason'] === undefined) missing.push('error_reason');
    if (missing.length > 0)
      return {
        status: 400,
        body: { validation_error: { body_params: missing.map((key) => ({ loc: [key] })) } },
      };
    const { outcome, testcase, note, ref_url, testcase_ref_url: _, ...rest } = json;
    const data = Object.entries(rest).map(([key, value]) => [key, [String(value)]] as const);
    return keep({
      testcase: { name: String(testcase) },
      outcome: String(outcome),
      note: (note as string | undefined) ?? null,
      ref_url: (ref_url as string | undefined) ?? null,
      groups: [],
      data: { ...Object.fromEntries(data), type: ['brew-build'] },
    });
  }
}

/** A policy of rules that all are `PassingTestCaseRule`. */
export interface Policy {
  readonly id: string;
  readonly product_versions: readonly string[];
  readonly decision_contexts: readonly string[];
  readonly rules: readonly { readonly test_case_name: string; readonly scenario?: string }[];
}

/** @param instead what is answered in place of a decision */
export async function greenwave(
  policies: readonly Policy[],
  results: readonly Result[],
  instead: () => Answer | undefined = () => undefined,
) {
  return serve((method, path, body) => {
    if (method !== 'POST' || path !== '/api/v1.0/decision') return refuse(404, 'Not Found');
    const other = instead();
    if (other) return other;
    const json = body as Json | undefined;
    if (!json) return refuse(415, 'No JSON payload in request');
    const { product_version, decision_context, subject_type, subject_identifier } = json;
    if (!product_version) return refuse(400, 'Missing required product version');
    if (!decision_context) return refuse(400, 'Either decision_context or rules is required.');
    if (!subject_type) return refuse(400, 'Missing required "subject_type" parameter');
    if (!subject_identifier) return refuse(400, 'Missing required "subject_identifier" parameter');
    const applicable = policies.filter(
      (policy) =>
        policy.product_versions.includes(String(product_version)) &&
        policy.decision_contexts.includes(String(decision_context)),
    );
    if (applicable.length === 0)
      return refuse(
        404,
        `Found no applicable policies for ${subject_type} subjects at gating point(s) ${decision_context} in ${product_version}`,
      );
    const subject = { subject_type: String(subject_type), subject_identifier: String(subject_identifier) };
    const answers = applicable.flatMap(({ rules }) => rules.flatMap((rule) => answersOf(rule, subject)));
    const unsatisfied = answers.filter(({ type }) => type !== 'test-result-passed');
    return {
      status: 200,
      body: {
        policies_satisfied: unsatisfied.length === 0,
        summary: summaryOf(answers.length, unsatisfied),
        satisfied_requirements: answers.filter(({ type }) => type === 'test-result-passed'),
        unsatisfied_requirements: unsatisfied,
        applicable_policies: applicable.map(({ id }) => id),
      },
    };
  });

  function answersOf(
    { test_case_name: testcase, scenario }: Policy['rules'][number],
    subject: { subject_type: string; subject_identifier: string },
  ) {
    const about = results.filter(
      ({ testcase: { name }, data }) =>
        name === testcase &&
        data['item']?.includes(subject.subject_identifier) &&
        data['type']?.includes(subject.subject_type) &&
        (scenario === undefined || data['scenario']?.includes(scenario)),
    );
    // The latest of each distinct scenario.
    const latest = new Map(about.map((result) => [result.data['scenario']?.[0] ?? null, result]));
    if (latest.size === 0)
      return [
        { type: 'test-result-missing', testcase, ...subject, scenario: scenario ?? null, source: null },
      ];
    return [...latest].map(([of, { id: result_id, outcome, data }]) => {
      const told = { testcase, ...subject, result_id, source: null, scenario: of };
      if (['PASSED', 'INFO'].includes(outcome)) return { type: 'test-result-passed', ...told };
      if (['QUEUED', 'RUNNING'].includes(outcome)) return { type: 'test-result-missing', ...told };
      if (outcome === 'ERROR')
        return { type: 'test-result-errored', ...told, error_reason: data['error_reason']?.[0] ?? null };
      return { type: 'test-result-failed', ...told };
    });
  }
}

function summaryOf(count: number, unsatisfied: readonly { readonly type: string }[]): string {
  if (unsatisfied.length === 0) return count === 0 ? 'no tests are required' : 'All required tests passed';
  const many = (type: string, words: string) => {
    const found = unsatisfied.filter((one) => one.type === type).length;
    return found > 0 ? [`${found} of ${count} required ${words}`] : [];
  };
  return [
    ...many('test-result-errored', 'tests errored'),
    ...many('test-result-failed', 'tests failed'),
    ...many('test-result-missing', 'results missing'),
  ].join(', ');
}
