/** Which real services the tests may use. Without them their tests are skipped, out loud. */
import { existsSync } from 'node:fs';
import { connect } from 'amqplib';
import { messageOf } from '../src/bus/intake.ts';

export const RABBIT_URL = process.env['RABBIT_URL'] ?? 'amqp://guest:guest@127.0.0.1:5672';

/** Whether RabbitMQ answers at RABBIT_URL. With REQUIRE_SERVICES=1 a silent one throws. */
export async function rabbit(): Promise<boolean> {
  try {
    const connection = await connect(RABBIT_URL, { timeout: 5_000 });
    await connection.close();
    return true;
  } catch (error) {
    const where = `RabbitMQ is not reachable at ${new URL(RABBIT_URL).host} (${messageOf(error)})`;
    if (process.env['REQUIRE_SERVICES'] === '1')
      throw new Error(`${where}, and REQUIRE_SERVICES=1 demands it`);
    process.stderr.write(`SKIPPED: ${where}. Start it, or set RABBIT_URL.\n`);
    return false;
  }
}

/** Whether a file is there that comes from a package. With REQUIRE_SERVICES=1 a missing one throws. */
export function installed(path: string, from: string): boolean {
  if (existsSync(path)) return true;
  const what = `${path} is missing (${from})`;
  if (process.env['REQUIRE_SERVICES'] === '1') throw new Error(`${what}, and REQUIRE_SERVICES=1 demands it`);
  process.stderr.write(`SKIPPED: ${what}\n`);
  return false;
}
