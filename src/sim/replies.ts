/** What the hub answers, as the XML-RPC document that Koji writes. */
import { type Form, write, type XmlValue } from '../koji/xmlrpc.ts';

/** A `<methodResponse>` with one value. Throws a TypeError that names the path of a value XML-RPC cannot carry. */
export function encodeResponse(value: XmlValue): string {
  const text = write(XML, value, 'value');
  return document(`<params>\n<param>\n${text}</param>\n</params>\n`);
}

/** A `<methodResponse>` with a fault. Throws like `encodeResponse`. */
export function encodeFault(code: number, text: string): string {
  return document(`<fault>\n${write(XML, { faultCode: code, faultString: text }, 'fault')}</fault>\n`);
}

function document(content: string): string {
  return `<?xml version='1.0'?>\n<methodResponse>\n${content}</methodResponse>\n`;
}

/** As Python's `xmlrpc.client` writes, line breaks included; but it would lose carriage returns. */
const XML: Form<string> = {
  nil: '<value><nil/></value>',
  scalar: (tag, text) => `<value><${tag}>${escaped(text)}</${tag}></value>\n`,
  array: (items) => `<value><array><data>\n${items.join('')}</data></array></value>\n`,
  struct(names, members) {
    let text = '';
    for (const [i, name] of names.entries())
      text += `<member>\n<name>${escaped(name)}</name>\n${members[i]}</member>\n`;
    return `<value><struct>\n${text}</struct></value>\n`;
  },
};

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#xD;' };

function escaped(text: string): string {
  return /[&<>\r]/.test(text) ? text.replace(/[&<>\r]/g, (each) => ESCAPES[each] ?? each) : text;
}
