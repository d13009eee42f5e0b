/** A bus within the process, for the demo where no broker is: same messages, same decoding, no delivery promises. */
import type { Logger } from 'pino';
import type { Consumer, Intake, OnHint } from './intake.ts';
import { openIntake } from './intake.ts';
import type { BusMessage } from './message.ts';

export interface LocalBus {
  /** Resolves once every consumer took the message. A message whose hint failed is logged, not delivered again. */
  publish(message: BusMessage): Promise<void>;
  /** Hears whatever is published from now on. */
  consume(onHint: OnHint, log: Logger): Consumer;
}

/** A bus with no consumers yet. */
export function localBus(): LocalBus {
  const intakes = new Set<Intake>();
  return {
    async publish(message) {
      await Promise.all([...intakes].map((intake) => intake.take(message)));
    },
    consume(onHint, log) {
      const intake = openIntake(onHint, log);
      intakes.add(intake);
      intake.state.connected = true;
      return {
        state: () => ({ ...intake.state }),
        ready: Promise.resolve(),
        async close() {
          if (!intakes.delete(intake)) return;
          intake.state.connected = false;
          intake.state.since = Date.now();
        },
      };
    },
  };
}
