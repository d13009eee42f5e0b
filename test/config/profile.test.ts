import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KojiSettings } from '../../src/config/config.ts';
import { kojiPlaces, readProfile } from '../../src/config/profile.ts';
import { parseGate } from './gate.ts';

let root: string;
let places: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kmod-gate-profile-'));
  places = ['conf.d', 'koji.conf', 'home/config.d', 'home/config'].map((place) => join(root, place));
});

afterEach(() => rmSync(root, { recursive: true }));

function write(place: string, text: string): void {
  const file = join(root, place);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The hub settings of a file whose `[koji]` table is `table`; a ConfigError's text where there are none. */
function settings(table: string, env: NodeJS.ProcessEnv = {}): KojiSettings | string {
  const config = parseGate({ koji: table }, env, places);
  return typeof config === 'string' ? config : config.koji;
}

describe('a Koji profile', () => {
  it('comes from four places, key by key, the later the stronger', () => {
    write(
      'conf.d/b.conf',
      '[koji]\nserver = https://b/hub\nweburl = https://b/koji/\ntopurl = https://b/files\nuser = b\npassword = b\n',
    );
    write('conf.d/a.conf', '[koji]\nserver = https://a/hub\ntimeout = 90\n[cbs]\nserver = https://cbs/hub\n');
    write('conf.d/c.conf.rpmsave', '[koji]\nserver = https://old/hub\n');
    write('koji.conf', '[koji]\nuser = etc\n');
    write('home/config.d/x.conf', '[koji]\nuser = home.d\npassword = home.d\n');
    write('home/config', '[koji]\npassword = home\ntopdir = /mnt/koji\nno_ssl_verify = yes\n');
    expect(settings('profile = "koji"')).toEqual({
      server: 'https://b/hub',
      weburl: 'https://b/koji',
      topurl: 'https://b/files',
      authtype: 'password',
      user: 'home.d',
      password: 'home',
      no_ssl_verify: true,
      timeout: 90_000,
    });
  });

  it('is read as Python reads it', () => {
    write(
      'koji.conf',
      [
        '; a comment',
        '[DEFAULT]',
        'weburl: https://default/koji',
        '[fedora.rawhide]  # not a part of the name',
        'SERVER = https://hub/hub?a=b;c#d',
        'user = "quoted"',
        'password = a\\;b # "c" = ;d',
        '#password = comment',
        'plugin_paths =',
        '    /a:/b',
        '[fedora]',
        'server = https://other/hub',
        'user = true',
        '',
      ].join('\r\n'),
    );
    expect(readProfile('fedora.rawhide', places)).toEqual({
      server: 'https://hub/hub?a=b;c#d',
      weburl: 'https://default/koji',
      user: '"quoted"',
      password: 'a\\;b # "c" = ;d',
    });
    expect(readProfile('fedora', places).user).toBe('true');
  });

  it('takes an empty value as none', () => {
    write('koji.conf', '[DEFAULT]\nuser = somebody\n');
    write(
      'home/config',
      [
        '[koji]',
        'server = https://k/hub',
        'weburl =',
        'authtype =',
        'user =',
        'password = %(user)s',
        'cert =',
        'serverca:',
        'no_ssl_verify =',
        'keytab =   ',
        'principal =',
        'timeout =',
      ].join('\n'),
    );
    expect(readProfile('koji', places)).toEqual({ server: 'https://k/hub' });
    // Koji looks for its own files only where a profile does not name one at all.
    write('release/.koji/client.crt', 'PEM');
    write('release/.koji/serverca.crt', 'PEM');
    const read = settings('profile = "koji"', { HOME: join(root, 'release') });
    expect(read).toMatchObject({ authtype: 'kerberos' });
    expect(read).not.toHaveProperty('serverca');
  });

  it('refers to other options as Python does', () => {
    write(
      'koji.conf',
      [
        '[DEFAULT]',
        'host = default.example.org',
        'base = https://%(host)s',
        '[koji]',
        'Host = own.example.org',
        'server = %(base)s/hub%%20%(HOST)s',
        'weburl = %(base)s/%%(host)s',
        'user = %%%%%(a-b)s',
        'a-b = $1%%$&',
        'topdir = 100%',
        '[far]',
        'server = https://%(a1)s',
        ...Array.from({ length: 9 }, (_, i) => `a${i + 1} = %(a${i + 2})s`),
        'a10 = host',
      ].join('\n'),
    );
    expect(readProfile('koji', places)).toEqual({
      server: 'https://own.example.org/hub%20own.example.org',
      weburl: 'https://own.example.org/%(host)s',
      user: '%%$1%$&',
    });
    expect(readProfile('far', places).server).toBe('https://host');
  });

  it('gives way to what the file says itself', () => {
    write('koji.conf', '[koji]\nserver = https://k/hub\nauthtype = kerberos\ntimeout = 90\n');
    const table =
      'profile = "koji"\nauthtype = "password"\nuser = "gate"\npassword = "s3cret"\ntimeout = "5s"';
    expect(settings(table)).toEqual({
      server: 'https://k/hub',
      authtype: 'password',
      user: 'gate',
      password: 's3cret',
      timeout: 5_000,
    });
  });

  it('logs in by the certificate that it names, if the file is there', () => {
    write('client.pem', 'PEM');
    const cert = join(root, 'client.pem');
    write(
      'koji.conf',
      `[koji]\nserver = https://k/hub\ncert = ${cert}\nserverca = ~/ca.crt\nuser = somebody\npassword = x\n`,
    );
    expect(settings('profile = "koji"', { HOME: '/home/gate' })).toMatchObject({
      authtype: 'ssl',
      cert,
      serverca: '/home/gate/ca.crt',
    });
    expect(settings(`profile = "koji"\ncert = "${cert}.gone"`)).toMatchObject({ authtype: 'password' });
  });

  it('takes the certificates that Koji takes where it names none, if they are there', () => {
    write(
      'koji.conf',
      '[koji]\nserver = https://k/hub\n[own]\nserver = https://k/hub\nserverca = /own.crt\n',
    );
    const env = { HOME: join(root, 'release') };
    expect(settings('profile = "koji"', env)).toMatchObject({ authtype: 'kerberos' });
    write('release/.koji/client.crt', 'PEM');
    write('release/.koji/serverca.crt', 'PEM');
    const [cert, serverca] = ['client.crt', 'serverca.crt'].map((name) => join(root, 'release/.koji', name));
    expect(settings('profile = "koji"', env)).toMatchObject({ authtype: 'ssl', cert, serverca });
    expect(settings('profile = "own"', env)).toMatchObject({ authtype: 'ssl', cert, serverca: '/own.crt' });
    expect(settings('server = "https://k/hub"', env)).toMatchObject({ authtype: 'noauth' });
  });

  it('takes another name from KOJI_PROFILE, but only in place of a name', () => {
    write('koji.conf', '[koji]\nserver = https://k/hub\n[stage]\nserver = https://stage/hub\n');
    const env = { KOJI_PROFILE: 'stage' };
    expect(settings('profile = "koji"', env)).toMatchObject({
      server: 'https://stage/hub',
      authtype: 'kerberos',
    });
    expect(settings('server = "https://own/hub"', env)).toMatchObject({ server: 'https://own/hub' });
  });

  it('is looked for where Koji looks', () => {
    expect(kojiPlaces({ HOME: '/home/gate' })).toEqual([
      '/etc/koji.conf.d',
      '/etc/koji.conf',
      '/home/gate/.koji/config.d',
      '/home/gate/.koji/config',
    ]);
  });
});

describe('a mistake about a profile', () => {
  const mistake = (text: string) => `gate.toml:2: koji.profile: ${text}`;

  it('lists the files that were read and the profiles in them', () => {
    write('conf.d/cbs.conf', '[cbs]\nserver = https://cbs/hub\n[cbs.stage]\nserver = https://stage/hub\n');
    write('koji.conf', '[DEFAULT]\nserver = https://k/hub\n');
    const files = `${join(root, 'conf.d/cbs.conf')}, ${join(root, 'koji.conf')}`;
    const text = mistake(`no Koji profile "DEFAULT" in ${files}; profiles there: cbs, cbs.stage`);
    expect(settings('profile = "DEFAULT"')).toBe(text);
    expect(settings('profile = "toString"')).toBe(text.replace('DEFAULT', 'toString'));
  });

  it('says that KOJI_PROFILE chose it', () => {
    write('koji.conf', '[koji]\nserver = https://k/hub\n');
    expect(settings('profile = "koji"', { KOJI_PROFILE: 'stage' })).toBe(
      mistake(
        `no Koji profile "stage" in ${join(root, 'koji.conf')}; profiles there: koji; KOJI_PROFILE names this profile`,
      ),
    );
  });

  it('says that no file is there', () => {
    expect(settings('profile = "koji"')).toBe(
      mistake(`no Koji profile "koji": found no file in ${places.join(', ')}`),
    );
  });

  it('says what a login needs, and which logins there are', () => {
    write(
      'koji.conf',
      '[koji]\nserver = https://k/hub\nauthtype = ssl\n[other]\nserver = https://k/hub\nauthtype = oidc\n',
    );
    expect(settings('profile = "koji"')).toBe(mistake('a login by certificate: set cert too'));
    expect(settings('profile = "koji"\ncert = "/etc/gate.pem"')).toMatchObject({ authtype: 'ssl' });
    expect(settings('profile = "other"')).toBe(
      mistake('the profile has authtype = oidc; set one of ssl, kerberos, password, noauth here'),
    );
  });

  it('does not send its password over http:// to another host', () => {
    write('koji.conf', '[koji]\nserver = http://k/hub\nuser = gate\npassword = s3cret\n');
    expect(settings('profile = "koji"')).toBe(
      mistake(
        'http:// to k lets everybody on the way read the password: use https://, or set plaintext = true where that is meant',
      ),
    );
    expect(settings('profile = "koji"\nplaintext = true')).toMatchObject({ plaintext: true });
    expect(settings('profile = "koji"\nauthtype = "noauth"')).toMatchObject({ authtype: 'noauth' });
  });

  it('names each value that cannot be used, and where it comes from', () => {
    write('koji.conf', '[koji]\ntimeout = soon\n');
    expect(settings('profile = "koji"')).toBe(
      mistake(
        'Koji profile "koji" cannot be used: its server must be an http:// or https:// URL; ' +
          `its timeout must be a whole number of seconds, up to 999999 (read ${join(root, 'koji.conf')})`,
      ),
    );
  });

  it.each([
    ['password', 'password = hunter2%'],
    ['password', 'password = hunter%2'],
    ['password', 'password = hunter2%('],
    ['password', 'password = %(hunter2)s'],
    ['password', 'password = %()shunter2'],
    ['password', 'password = %(user)dhunter2'],
    ['password', 'password = hunter2%(password)s'],
    ['password', 'password = %(toString)shunter2'],
    ['other', 'password = %(other)s\nother = hunter2%'],
    [
      'a10',
      `password = %(a1)s\n${Array.from({ length: 11 }, (_, i) => `a${i + 1} = %(a${i + 2})s\n`).join('')}`,
    ],
  ])(
    'names the option (%s) of a percent sign that Python does not take, without its value: %j',
    (option, lines) => {
      write('koji.conf', `[koji]\nserver = https://k/hub\nuser = gate\n${lines}\n`);
      expect(settings('profile = "koji"')).toBe(
        mistake(
          `Koji profile "koji" cannot be used: its ${option} has a % that stands for nothing; ` +
            'write %% for a %, or %(name)s for an option that is there ' +
            `(read ${join(root, 'koji.conf')})`,
        ),
      );
    },
  );

  it('names a place that cannot be read', () => {
    write('conf.d/x.conf/file', '');
    write('koji.conf', '[koji]\nserver = https://k/hub\n');
    expect(settings('profile = "koji"')).toContain(
      `cannot read Koji's ${join(root, 'conf.d/x.conf')}: EISDIR`,
    );
  });

  it('does not go well with a server', () => {
    write('koji.conf', '[koji]\nserver = https://k/hub\n');
    expect(settings('profile = "koji"\nserver = "https://own/hub"')).toBe(
      'gate.toml:3: koji.server: both server and profile say which hub: take one of them out',
    );
  });
});
