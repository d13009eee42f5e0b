/** A message as an AMQP 0-9-1 consumer receives it, whoever sent it; one of AMQP 1.0 is made to look like it. */
export interface BusMessage {
  readonly routingKey: string;
  /** Header table; values are whatever AMQP carries. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: {
    /** `amqp-1.0` marks a body that is an AMQP 1.0 section (RabbitMQ's 1.0 plugin). */
    readonly type?: string;
    readonly contentType?: string;
    readonly contentEncoding?: string;
    readonly messageId?: string;
  };
  readonly body: Uint8Array;
}
