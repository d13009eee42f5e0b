/** Findings as JUnit XML: a test case for each kmod and architecture, as GitLab, Jenkins and others show them. */
import { type Html, html, markupOf } from '../http/html.ts';
import { type Case, type Findings, symbolLines } from './findings.ts';

/** Broken is a failure; inconclusive an error, since it is no yes either; passed over is skipped. */
export function junit({ command, kernel, cases, unread }: Findings): string {
  const suite = `kmod-gate ${command} ${kernel}`;
  const count = (outcome: Case['outcome']) => cases.filter((it) => it.outcome === outcome).length;
  const errors = count('inconclusive') + unread.length;
  const counts = html`tests="${cases.length + unread.length}" failures="${count('broken')}" errors="${errors}"`;
  return xml(html`<testsuites name="kmod-gate" ${counts}>
<testsuite name="${suite}" ${counts} skipped="${count('passed')}">
${cases.map((it) => caseXml(command, it))}${unread.map(
  ({ file, problem }) =>
    html`<testcase classname="kmod-gate.${command}.files" name="${file}"><error type="unread" message="${problem}"/></testcase>
`,
)}</testsuite>
</testsuites>
`);
}

function caseXml(command: string, it: Case): Html {
  const { kind, name, arch, outcome, why } = it;
  const details = [...it.causes.map((cause) => `changed by ${cause}`), ...symbolLines(it)].join('\n');
  const results: Record<Case['outcome'], Html | null> = {
    fine: null,
    broken: html`<failure type="broken" message="${why}">${details}</failure>`,
    inconclusive: html`<error type="inconclusive" message="${why}">${details}</error>`,
    passed: html`<skipped message="${why}"/>`,
  };
  const suite = ['kmod-gate', command, ...(kind === 'kmod' ? [] : [kind]), ...(arch === null ? [] : [arch])];
  return html`<testcase classname="${suite.join('.')}" name="${name}">${results[outcome]}</testcase>
`;
}

/** HTML's templates escape as XML wants it; what XML 1.0 has no place for at all is replaced. */
const xml = (content: Html): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n${markupOf(content).replace(/[\ufffe\uffff]|\p{Cs}/gu, '\ufffd')}`;
