/** YAML as data, by Python's reader, which yamllint brings. */
import { execFileSync } from 'node:child_process';

/** The documents of a text. */
export function yamlDocuments(text: string): unknown[] {
  const read = 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)';
  return JSON.parse(execFileSync('/usr/bin/python3', ['-c', read], { input: text, encoding: 'utf8' }));
}
