/** The lines of sshd_config(5) by which hosts take the certificates of a user CA; what is not for sshd stands in comments. */

export interface LoginHost {
  readonly system: string;
  readonly host: string;
  readonly port: number;
  readonly jump: { readonly host: string; readonly port: number } | null;
  /** Channels on one connection. */
  readonly sessionsMin: number;
}

export interface SshdHosts {
  readonly logins: readonly LoginHost[];
}

export interface SshdLinesOptions extends SshdHosts {
  /** Where the hosts keep the files. */
  readonly directory: string;
  /** The line of a `.pub` file. */
  readonly publicKey: string;
}

const files = { ca: 'goldcrest_user_ca.pub', revoked: 'goldcrest_revoked_keys' } as const;
/** OpenSSH's own. */
const maxSessionsDefault = 10;

/** The whole is a valid file for an `Include` of sshd_config, the same for login nodes and jump hosts. */
export function sshdLines({ logins, directory, publicKey }: SshdLinesOptions): string[] {
  const [ca, revoked] = [`${directory}/${files.ca}`, `${directory}/${files.revoked}`];
  const sessions = Math.max(...logins.map(({ sessionsMin }) => sessionsMin), 0);
  return [
    '# Goldcrest logs users in with certificates of its user CA. Made by: goldcrest ssh-ca sshd-config',
    `# To be kept as ${directory}/sshd_config.d/goldcrest.conf where sshd_config includes that, else at the end of sshd_config.`,
    '# For these hosts:',
    ...logins.flatMap(hostLines),
    '# First, as root, on each of them; without the second file sshd takes no key of anybody:',
    `#   echo '${publicKey}' > ${ca}`,
    `#   ssh-keygen -k -f ${revoked}`,
    '# Where a CA is trusted already, add the key to its file in place of the first line: sshd reads one TrustedUserCAKeys.',
    '# A certificate names one user, who must exist. Where AuthorizedPrincipalsFile is set, that of the user must',
    '# hold the name; so it can also tell whom Goldcrest may log in.',
    '# To shut a user out, on each host, until the list is made anew without it:',
    `#   echo 'id: goldcrest:USER@SYSTEM' | ssh-keygen -k -u -s ${ca} -f ${revoked} -`,
    `TrustedUserCAKeys ${ca}`,
    `RevokedKeys ${revoked}`,
    ...(sessions > maxSessionsDefault ? [`MaxSessions ${sessions}`] : []),
    'Match User root',
    '  TrustedUserCAKeys none',
  ];
}

function hostLines({ system, host, port, jump }: LoginHost): string[] {
  const place = `${host}:${port}`;
  if (jump === null) return [`#   ${place}, ${system}`];
  return [
    `#   ${place}, ${system}`,
    `#   ${jump.host}:${jump.port}, jump host of ${system}: AllowTcpForwarding must be yes or local; a PermitOpen must have ${place}`,
  ];
}
