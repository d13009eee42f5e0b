/** Notices as mail: plain text, from one sender to one address each. */
import { createTransport, type SMTPTransportOptions } from 'nodemailer';
import type { MailSettings } from '../config/notice.ts';
import { visible } from '../report/visible.ts';
import { TellError } from './channel.ts';
import type { Notice } from './notice.ts';
import { plainText } from './render.ts';
import { secretIn } from './secret.ts';

/** Longest subject, characters. */
const SUBJECT = 200;
/** nodemailer: the address, or the message, was refused. What else is, such as a login, a person may mend. */
const NEVER_TAKEN = ['EENVELOPE', 'EMESSAGE'];

/**
 * Send a notice. Comes back once the server has taken it.
 * @param id of the message: the same if it is sent again, so that readers show it once
 * @param thread the same for all of a run
 * @throws TellError, for good where the server will not have the message or the address
 */
export async function sendMail(
  { host, port, secure, user, password_file, plaintext, from, name, timeout }: MailSettings,
  to: string,
  notice: Notice,
  { id, thread }: { readonly id: string; readonly thread: string },
): Promise<void> {
  const auth =
    user !== undefined && password_file !== undefined
      ? { auth: { user, pass: await secretIn(password_file) } }
      : {};
  const options: SMTPTransportOptions = {
    ...{ host, port, secure, ...auth },
    requireTLS: !secure && user !== undefined && !plaintext,
    ...{ connectionTimeout: timeout, greetingTimeout: timeout, socketTimeout: timeout },
    // Nothing in a message is a file or a URL to be fetched.
    ...{ disableFileAccess: true, disableUrlAccess: true },
  };
  const domain = from.slice(from.lastIndexOf('@') + 1);
  const transport = createTransport(options);
  try {
    await transport.sendMail({
      from: { name, address: from },
      to: { name: '', address: to },
      subject: subjectOf(notice),
      text: plainText(notice),
      messageId: `<${id}@${domain}>`,
      references: `<${thread}@${domain}>`,
      headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    });
  } catch (error) {
    const { responseCode = 0, code = '' } = error as { responseCode?: number; code?: string };
    const why = error instanceof Error ? error.message : String(error);
    throw new TellError(`mail to ${to}: ${visible(why).slice(0, 500)}`, {
      forGood: responseCode >= 500 && NEVER_TAKEN.includes(code),
      cause: error,
    });
  } finally {
    transport.close();
  }
}

const subjectOf = ({ title }: Notice): string => {
  const line = visible(title).replaceAll('\t', ' ');
  return line.length > SUBJECT ? `${line.slice(0, SUBJECT - 1)}…` : line;
};
