#!/usr/bin/env node
// What is shipped, in CycloneDX, by the lock file. "npm sbom --omit dev" leaves out what is shipped and is used by tests, too.
import { execFileSync } from 'node:child_process';

const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
const whole = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', maxBuffer: 2 ** 28 }));
const isShipped = ({ properties }) => !properties.some(({ name }) => name === 'cdx:npm:package:development');
const components = whole.components.filter(isShipped);
const refs = new Set([whole.metadata.component, ...components].map((one) => one['bom-ref']));
const dependencies = whole.dependencies
  .filter(({ ref }) => refs.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.has(one)) }));
// The folder's name is whatever a checkout is called.
const { purl } = whole.metadata.component;
whole.metadata.component.name = purl.replace(/^pkg:npm\/(.*)@.*$/, '$1');
process.stdout.write(`${JSON.stringify({ ...whole, components, dependencies }, null, 2)}\n`);
