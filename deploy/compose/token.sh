#!/bin/bash
# Prints an access token for a client of the realm: docker compose run --rm token [alice-cli|bob-cli|service]
set -euo pipefail

client=${1:-alice-cli}
secret_file=/run/secrets/keycloak/$client
if [[ ! $client =~ ^[a-z-]+$ || ! -r $secret_file ]]; then
  echo "No such client: $client; there are alice-cli, bob-cli and service" >&2
  exit 2
fi

# The secret goes in by standard input, where no list of processes shows it.
printf 'client_secret=%s' "$(cat "$secret_file")" |
  curl --silent --show-error --fail --data grant_type=client_credentials --data "client_id=$client" --data @- \
    "${TOKEN_URL:?}" |
  sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p'
