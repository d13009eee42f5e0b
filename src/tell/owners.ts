/**
 * Whose a package is, as Koji has it, and where its owner is reached. Koji knows no addresses of users: the hub itself mails
 * to NAME@DOMAIN by its setting `EmailDomain`, and leaves out blocked users and hosts, which this does too.
 */
import { isAddress, type NoticeSettings } from '../config/notice.ts';
import { matcher } from '../core/names.ts';
import { getPackageConfig, getUser } from '../koji/calls.ts';
import { type Hub, HubError } from '../koji/hub.ts';
import { visible } from '../report/visible.ts';
import { TellError } from './channel.ts';

/** Where an owner is reached, or why nowhere. */
export type Reached =
  | { readonly owner: string; readonly address: string }
  | { readonly owner: string; readonly why: string };

/**
 * The owner of a package in a tag.
 * @throws TellError where the hub does not answer
 */
export async function ownerOf(
  hub: Pick<Hub, 'read'>,
  { owner_domain, addresses }: Pick<NoticeSettings, 'owner_domain' | 'addresses'>,
  tag: string,
  name: string,
): Promise<Reached> {
  const own = Object.entries(addresses).find(([pattern]) => matcher([pattern])(name));
  if (own) return own[1] === '' ? nobody(name) : { owner: name, address: own[1] };
  try {
    const config = await hub.read(getPackageConfig(tag, name));
    if (!config) return { owner: '', why: `${tag} does not list it` };
    const owner = config.owner_name;
    const named = addresses[owner];
    if (named !== undefined) return named === '' ? nobody(owner) : { owner, address: named };
    if (owner_domain === undefined) return { owner, why: `no address of ${visible(owner)} is configured` };
    const user = await hub.read(getUser(config.owner_id));
    if (user?.status !== 0 || user.usertype !== 0)
      return { owner, why: `${visible(owner)} is blocked in Koji, or no person` };
    const address = `${owner}@${owner_domain}`;
    return isAddress(address) ? { owner, address } : { owner, why: `${visible(address)} is no address` };
  } catch (error) {
    if (error instanceof HubError) throw new TellError(`the hub: ${error.message}`, { cause: error });
    throw error;
  }
}

const nobody = (owner: string): Reached => ({ owner, why: 'nobody is to be told, by addresses' });
