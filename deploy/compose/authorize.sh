#!/bin/sh
# Makes the store of OpenFGA at the first start: the model, and what the people of the realm may do. Its id goes to the
# API and the workers, by a volume. What is there already stays, so it may run at every start. More grants:
#   docker compose run --rm authz grant user:bob preset_read system:compose
set -eu

url=${OPENFGA_URL:-http://openfga:8080}
token_file=${OPENFGA_TOKEN_FILE:-/run/secrets/goldcrest/openfga_token}
store_file=${STORE_FILE:-/run/authz/store_id}

authz() { ${GOLDCREST:-node /app/dist/cli/main.js} authz "$@" --url "$url" --token-file "$token_file"; }

if [ ! -s "$store_file" ]; then
  store=$(authz model push --new-store goldcrest | sed -n 's/^store_id: //p')
  for person in alice bob; do authz grant "user:$person" preset_full system:compose --store "$store"; done
  # Last, and whole: it says that all of it is done.
  printf '%s\n' "$store" >"$store_file.new"
  mv "$store_file.new" "$store_file"
fi

if [ $# -gt 0 ]; then authz "$@" --store "$(cat "$store_file")"; fi
