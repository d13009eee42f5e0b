/** XML-RPC replies reduced to their shape: names and types of members, for comparing a simulated hub with a real one. */
import { SaxesParser } from 'saxes';

/** A scalar is the name of its element; `fault N` stands for a fault. */
export type Shape = string | Shape[] | { [name: string]: Shape };

/** The shape of a `<methodResponse>`. */
export function shapeOf(xml: string): Shape {
  const root = descend(readXml(xml), 'methodResponse');
  const fault = root.children.find((child) => child.name === 'fault');
  if (fault) return `fault ${/<faultCode>|<name>faultCode<\/name>\s*<value><int>(\d+)/.exec(xml)?.[1]}`;
  return valueShape(descend(root, 'params', 'param', 'value'));
}

/**
 * How `actual` differs from `recorded`, a line each. Null fits anything, an empty array any array; structs whose
 * names are data, not members (task ids, file names), are compared by their first value.
 */
export function differences(recorded: Shape, actual: Shape, path = 'reply'): string[] {
  if (recorded === 'nil' || actual === 'nil' || recorded === actual) return [];
  if (path.endsWith('.request') || path.endsWith('.traceback')) return [];
  if (typeof recorded === 'string' || typeof actual === 'string') {
    return [`${path}: ${JSON.stringify(actual)} instead of ${JSON.stringify(recorded)}`];
  }
  if (Array.isArray(recorded) !== Array.isArray(actual)) return [`${path}: array and struct`];
  if (Array.isArray(recorded) && Array.isArray(actual)) {
    // Rows of one table are alike; what is no table is compared one by one.
    const alike = recorded.length !== actual.length;
    return actual.flatMap((item, i) => {
      const model = recorded[alike ? 0 : i];
      return model === undefined ? [] : differences(model, item, `${path}[${i}]`);
    });
  }
  return memberDifferences(recorded as Record<string, Shape>, actual as Record<string, Shape>, path);
}

function memberDifferences(
  recorded: Record<string, Shape>,
  actual: Record<string, Shape>,
  path: string,
): string[] {
  if ([...Object.keys(recorded), ...Object.keys(actual)].some((name) => /^\d+$|\.(?:log|rpm)$/.test(name))) {
    const [model] = Object.values(recorded).filter((shape) => !Array.isArray(shape) || shape.length > 0);
    if (model === undefined) return [];
    return Object.entries(actual).flatMap(([name, shape]) => differences(model, shape, `${path}[${name}]`));
  }
  const names = new Set([...Object.keys(recorded), ...Object.keys(actual)]);
  return [...names].flatMap((name) => {
    const [before, now] = [recorded[name], actual[name]];
    if (now === undefined) return [`${path}.${name}: missing`];
    if (before === undefined) return [`${path}.${name}: not in the recording`];
    return differences(before, now, `${path}.${name}`);
  });
}

/** An element of a document. */
export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  text: string;
  readonly children: Node[];
}

/** The document's element is the only child. Throws where it is not well-formed. */
export function readXml(xml: string): Node {
  const root: Node = { name: '', attributes: {}, text: '', children: [] };
  const open = [root];
  const parser = new SaxesParser();
  parser.on('opentag', ({ name, attributes }) => {
    const node = { name, attributes, text: '', children: [] };
    open.at(-1)?.children.push(node);
    open.push(node);
  });
  parser.on('text', (text) => {
    const node = open.at(-1);
    if (node) node.text += text;
  });
  parser.on('closetag', () => void open.pop());
  parser.write(xml).close();
  return root;
}

function descend(node: Node, ...names: string[]): Node {
  let at = node;
  for (const name of names) {
    const next = at.children.find((child) => child.name === name);
    if (next === undefined) throw new Error(`no <${name}> in <${at.name}>`);
    at = next;
  }
  return at;
}

function valueShape(value: Node): Shape {
  const [content] = value.children;
  if (content === undefined) return 'string';
  if (content.name === 'array') return descend(content, 'data').children.map(valueShape);
  if (content.name !== 'struct') return content.name === 'i8' ? 'int' : content.name;
  return Object.fromEntries(
    content.children.map((member) => [descend(member, 'name').text, valueShape(descend(member, 'value'))]),
  );
}
