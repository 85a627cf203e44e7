/** What the program says of itself. */
import {
  networksMax,
  type Preset,
  pathLimitsMax,
  pathRelations,
  presets,
  systemRelations,
} from '../shared/authorization/authorization-model.ts';

export const programHelp = `Usage: goldcrest COMMAND …

  authz      who may do what, as kept in OpenFGA
  audit      whether the audit trail is whole, and its records
  sealing    which keys seal the secrets of webhooks, and their change
  ssh-ca     the key that signs logins, and what the login nodes need to trust it
  --version  the version of this program

goldcrest COMMAND --help says more. The configuration is the broker's own: the file that GOLDCREST_CONFIG names.`;

export const sealingHelp = `Usage: goldcrest sealing COMMAND

  status   how many secrets of webhooks each key of goldcrest.webhooks.sealing_keys has sealed
  renew    seal all of them anew with the first key, so that the others may be taken away

To change the key: put the new one second, everywhere; then first; then renew. What tasks, watches and deliveries hold is
not sealed anew: keep the old key until those of that day have ended. Exit status: 0 done; 1 a secret is sealed with a key
that is not configured; 2 wrong usage; 3 Redis did not answer; 78 wrong configuration.`;

export const sshCaHelp = `Usage: goldcrest ssh-ca COMMAND …

  init FILE              make the key of a user CA (ed25519): FILE, readable for its owner alone, and FILE.pub; prints the
                         public key. A file that is there is never written over
  public-key             print the public key of the configured CA, for the file of TrustedUserCAKeys
  sshd-config [SYSTEM…]  print the lines for sshd_config of the login nodes and jump hosts, of all systems or of some

Options
  --directory DIR        where those hosts keep the CA's public key and the list of revoked keys (/etc/ssh)

The configuration (GOLDCREST_CONFIG) says which CA: a key in a file, also an encrypted one, or one that an ssh-agent or a
PKCS#11 token keeps. Exit status: 0 done; 1 the configuration has no CA of its own; 2 wrong usage; 3 a file could not be
written, or the key not be read; 78 wrong configuration.`;

export const auditHelp = `Usage: goldcrest audit COMMAND …

  verify                 check the records in Redis and the configured directory, and that no end is missing
  verify PATH…           check files, or the files of directories, without Redis; the ends cannot be compared then
  export                 print the records in Redis as lines, oldest first

Options
  --key-file FILE        with PATH…: file with the key of the chain (goldcrest.audit.key)
  --among-log            with PATH…: files that hold what processes wrote to standard output (goldcrest.audit.stdout)

Exit status: 0 whole; 1 something was changed, removed, moved or cut off; 2 wrong usage; 3 Redis did not answer, or a file
could not be read; 78 wrong configuration.`;

const presetNames = Object.keys(presets)
  .map((name) => name.replace('preset_', ''))
  .join('|');

const presetLines = Object.entries<Preset>(presets).map(([name, { relations, daysMax, needsNetworks }]) => {
  const limits = `to a service client for ${daysMax} days at most${needsNetworks ? ', with --from' : ''}`;
  return `  ${name.padEnd(16)} ${relations.join(', ')}; ${limits}`;
});

export const authzHelp = `Usage: goldcrest authz COMMAND …

  model show                       print the authorization model as JSON
  model push [--new-store NAME]    write it to the store, or to a new one; prints the ids for the configuration
  grant SUBJECT RELATION OBJECT    let SUBJECT; with --until, --from and --path for a time, from some networks and in
                                   some directories only
  revoke SUBJECT RELATION OBJECT   take that back
  list [--subject S] [--object O]  what is granted
  check SUBJECT RELATION OBJECT    whether it is allowed now; --from and --path name what is asked about

The three words of a program's grant can be written as --client ID --preset ${presetNames} --system NAME.

SUBJECT   user:NAME (on the clusters), service_client:ID (OAuth client of a program), group:NAME, project:NAME
OBJECT    system:NAME, group:NAME, project:NAME, broker:goldcrest, task:ID, webhook:ID
RELATION  on a system: ${systemRelations.join(', ')}
          or a preset, see below; on a group or project: member; on the broker:
          administer; on a task or webhook: viewer, for people who are to see it though it is another user's

Options
  --until TIME       RFC 3339, e.g. 2026-12-31T00:00:00Z; a service client's grant must have one
  --from NETWORKS    CIDR, up to ${networksMax}, separated by commas
  --path PATHS       directories, up to ${pathLimitsMax.paths}, separated by commas; with ${[...pathRelations].join(', ')}
  --url URL          OpenFGA; with it the configuration (GOLDCREST_CONFIG) is not read
  --store ID         its store
  --token-file FILE  file with the preshared key

Presets
${presetLines.join('\n')}

A grant is replaced by revoke and grant. Exit status: 0 done or allowed; 1 not allowed; 2 wrong usage; 3 OpenFGA refused or
did not answer; 78 wrong configuration.`;
