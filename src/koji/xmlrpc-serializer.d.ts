/** The part of the untyped `xmlrpc` package that `xmlrpc.ts` uses. */

declare module 'xmlrpc/lib/serializer.js' {
  const serializer: {
    serializeMethodCall(method: string, params: readonly unknown[]): string;
  };
  export default serializer;
}

declare module 'xmlrpc/lib/customtype.js' {
  /** Written as `<tagName>raw</tagName>`, with `raw` escaped. */
  export default class CustomType {
    constructor(raw: string);
    tagName: string;
  }
}
