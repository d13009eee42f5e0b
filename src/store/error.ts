/** The store cannot be used as it is: the message says why and what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/** A person has asked something of a run since it was read, or it is over: look again. */
export class OvertakenError extends Error {}
