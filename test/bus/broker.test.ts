import { expect, test } from 'vitest';
import { explain, parseBroker } from '../../src/bus/broker.ts';

test.each([
  ['Handshake terminated by server: 403 (ACCESS-REFUSED) with message "…"', 'check user and password'],
  ['Channel closed by server: 404 (NOT-FOUND) with message "NOT_FOUND - no exchange"', 'create the exchange'],
  ['Operation failed: QueueDeclare; 405 (RESOURCE-LOCKED) with message "…"', 'owns the queue exclusively'],
  ['Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "inequivalent arg"', 'delete it'],
  ['Connection closed: 530 (NOT-ALLOWED) with message "vhost x not found"', 'check the vhost'],
])('%s comes with advice, and need not be tried soon', (text, advice) => {
  expect(explain(new Error(text))).toEqual({ text: expect.stringContaining(advice), refused: true });
});

test.each([
  'Channel closed by server: 406 (PRECONDITION-FAILED) with message "delivery acknowledgement timed out"',
  'Connection closed: 320 (CONNECTION-FORCED) with message "shutdown"',
  'connect ECONNREFUSED 127.0.0.1:5672',
])('%s is tried again as it is', (text) => {
  expect(explain(new Error(text))).toEqual({ text, refused: false });
});

test('an address keeps its vhost and parameters, gets the heartbeat, and a name without user and password', () => {
  expect(parseBroker('amqps://u:p%40ss@mq.example.org:5671/%2Fkoji?frameMax=8192', 5)).toEqual({
    url: 'amqps://u:p%40ss@mq.example.org:5671/%2Fkoji?frameMax=8192&heartbeat=5',
    name: 'amqps://mq.example.org:5671/%2Fkoji',
  });
});
