/** The address of `[http]` cannot be used; the message says why and what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** The file of tokens cannot be used; the message says where and what to do, and holds no token. */
export class TokensError extends Error {
  override readonly name = 'TokensError';
}

/** What a person asked by the API cannot be meant; the message says why, and `field` where, if it is one of the request's. */
export class WordError extends Error {
  override readonly name = 'WordError';
  readonly field: string | undefined;
  constructor(message: string, field: string | undefined, options?: ErrorOptions) {
    super(message, options);
    this.field = field;
  }
}
