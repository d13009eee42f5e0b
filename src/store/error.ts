/** The store cannot be used as it is: the message says why and what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/** Another kmod-gate has taken over: what this one was about to do it must not do. */
export class LeaseError extends Error {
  override readonly name = 'LeaseError';
}

/** Somebody else was faster: a person has asked something of a run since it was read, or another run went on. Look again. */
export class OvertakenError extends Error {}
