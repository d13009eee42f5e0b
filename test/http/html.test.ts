import fc from 'fast-check';
import { expect, test } from 'vitest';
import { html, link, markupOf } from '../../src/http/html.ts';
import { visibleLines } from '../../src/report/visible.ts';

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
const plain = (text: string) => text.replace(/&(\w+|#39);/g, (_, name: string) => ENTITIES[name] ?? '?');

test('any text comes through as it is shown everywhere, and holds nothing that markup could begin or end with', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('<', '>', '&', '"', "'", 'a', '&lt;', ' ', '\u{1f427}'),
  });
  fc.assert(
    fc.property(fc.oneof(hostile, fc.string({ unit: 'binary' })), (text) => {
      const markup = markupOf(html`${text}`);
      expect(markup).not.toMatch(/[<>"']/);
      expect(plain(markup)).toBe(visibleLines(text));
    }),
  );
});

test('templates nest, lists join, and what is not there leaves nothing', () => {
  const items = ['a', 'b&'].map((text) => html`<li>${text}</li>`);
  expect(markupOf(html`<ul>${items}</ul>${null}${undefined}${false}${0}`)).toBe(
    '<ul><li>a</li><li>b&amp;</li></ul>0',
  );
});

test('only http and https become links', () => {
  expect(markupOf(link('https://koji.example.org/x?a=1&b="', '<7>'))).toBe(
    '<a href="https://koji.example.org/x?a=1&amp;b=&quot;">&lt;7&gt;</a>',
  );
  for (const url of [
    'javascript:alert(1)',
    ' JavaScript:alert(1)',
    'data:text/html,x',
    '/relative',
    '',
    undefined,
  ])
    expect(markupOf(link(url, 'text'))).toBe('text');
});
