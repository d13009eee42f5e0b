/**
 * Whether all is played that there is: `npm run test:long` sets LONG=1. `npm test` leaves out what can only find again
 * what it has found, or what chance alone may find.
 */
export const LONG = process.env['LONG'] === '1';
