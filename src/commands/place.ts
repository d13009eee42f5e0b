/** Where a command reads and speaks: the store of a configuration here, or a gate elsewhere. */
import { type Command, Option } from 'commander';
import type { Config } from '../config/config.ts';
import type { Order } from '../core/model.ts';
import type { OrderOptions, WaiveOptions } from './people.ts';
import type { Records } from './records.ts';
import type { Output } from './text.ts';

export interface Place {
  readonly config: string;
  /** The URL of the gate elsewhere. */
  readonly server?: string;
  readonly tokenFile?: string;
  readonly plaintext?: true;
}

/** Says to a gate what a command says, and prints what comes of it. Throws CheckError, StoreError. */
export interface Speaker {
  waive(output: Output, options: WaiveOptions): Promise<unknown>;
  unwaive(output: Output, id: string, by?: string): Promise<unknown>;
  order(output: Output, kind: Order['kind'], subject: string, options: OrderOptions): Promise<unknown>;
}

type Load = (file: string) => Promise<Config>;

/** Let a command go elsewhere. */
export const addServer = (command: Command): Command =>
  command
    .addOption(
      new Option('--server <url>', 'of a gate elsewhere, by its API, and not by a configuration here'),
    )
    .addOption(new Option('--token-file <file>', 'has your token for it (else KMOD_GATE_TOKEN has)'))
    .addOption(new Option('--plaintext', 'let the token go over http:// to another host'));

/** What is known there. */
export async function recordsAt(place: Place, load: Load): Promise<Records> {
  if (place.server !== undefined) return (await connect(place.server, place)).records;
  const { storedRecords } = await import('./records.ts');
  return storedRecords(await load(place.config));
}

/** Whom to tell there. */
export async function speakerAt(place: Place, load: Load): Promise<Speaker> {
  if (place.server !== undefined) return (await connect(place.server, place)).speaker;
  const { order, unwaive, waive } = await import('./people.ts');
  const config = await load(place.config);
  return {
    waive: (output, options) => waive(config, output, options),
    unwaive: (output, id, by) => unwaive(config, output, id, by),
    order: (output, kind, subject, options) => order(config, output, kind, subject, options),
  };
}

async function connect(server: string, { tokenFile, plaintext }: Place) {
  const { connectGate } = await import('./remote.ts');
  return connectGate(
    server,
    { plaintext: plaintext === true, ...(tokenFile !== undefined && { tokenFile }) },
    process.env,
  );
}
