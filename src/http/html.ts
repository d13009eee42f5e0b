/** HTML from tagged templates; whatever is put in is escaped. */
import { visibleLines } from '../report/visible.ts';

const MARKUP = Symbol('markup');

/** HTML with its values escaped. The symbol keeps data from the outside from posing as one. */
export interface Html {
  readonly [MARKUP]: string;
}

/** What a template takes: text and numbers are escaped; `null`, `undefined` and `false` vanish. */
export type Content = Html | string | number | null | undefined | false | readonly Content[];

/** `` html`<b>${text}</b>` ``. Values are safe as an element's content and in a quoted attribute, nowhere else. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Html {
  return { [MARKUP]: String.raw({ raw: strings }, ...values.map(render)) };
}

export function markupOf(content: Html): string {
  return content[MARKUP];
}

/** A link; only the text where there is no URL, or none that is http(s). */
export function link(url: string | undefined, text: Content): Html {
  return /^https?:\/\//i.test(url ?? '') ? html`<a href="${url}">${text}</a>` : html`${text}`;
}

function render(content: Content): string {
  if (content === null || content === undefined || content === false) return '';
  if (typeof content === 'string' || typeof content === 'number') return escapeHtml(String(content));
  return isList(content) ? content.map(render).join('') : markupOf(content);
}

/** `Array.isArray`, which does not tell a readonly list from the rest. */
function isList(content: Html | readonly Content[]): content is readonly Content[] {
  return Array.isArray(content);
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return visibleLines(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
