#!/bin/bash
# Makes every secret of docker-compose.yml, each into the folder (a volume) of the one service that may read it. What is
# there already stays, so it may run at every start. Usage: make-secrets.sh FOLDER; needs root, openssl and ssh-keygen.
set -euo pipefail

base=${1:?usage: make-secrets.sh FOLDER}
login_host=${LOGIN_HOST:-login}
umask 077

# Uids of the services in their images.
readonly goldcrest=10001:10001 redis=999:1000 s3=1000:1000 openfga=65532:65532 keycloak=1000:0 root=0:0

random() { openssl rand -hex 24; }

# put SERVICE NAME OWNER TEXT
put() {
  local file="$base/$1/$2"
  mkdir -p "$base/$1"
  printf '%s\n' "$4" >"$file.new"
  chown "$3" "$base/$1" "$file.new"
  chmod 0500 "$base/$1"
  chmod 0400 "$file.new"
  mv "$file.new" "$file"
}

if [ -e "$base/complete/made" ]; then
  # Volumes that were made before the workers asked OpenFGA.
  if [ -e "$base/api/openfga_token" ] && [ ! -e "$base/worker/openfga_token" ]; then
    put worker openfga_token "$goldcrest" "$(cat "$base/api/openfga_token")"
  fi
  echo 'secrets: nothing to do'
  exit 0
fi

password=$(random)
put redis redis.conf "$redis" "requirepass $password"
put redis password "$redis" "$password"
for reader in api worker; do
  put "$reader" redis_url "$goldcrest" "redis://:$password@redis:6379/0"
done

# Seals the secrets of webhooks in Redis; the API writes them, the workers sign with them.
sealing_key=$(openssl rand -base64 32)
for reader in api worker; do put "$reader" sealing_key "$goldcrest" "$sealing_key"; done

access_key=$(openssl rand -hex 10 | tr '[:lower:]' '[:upper:]')
secret_key=$(random)
put s3 s3.json "$s3" "$(
  cat <<JSON
{"identities": [{"name": "goldcrest", "credentials": [{"accessKey": "$access_key", "secretKey": "$secret_key"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
)"

# Who signs the addresses of transfers has the key of the store.
for reader in api worker; do
  put "$reader" s3_access_key "$goldcrest" "$access_key"
  put "$reader" s3_secret_key "$goldcrest" "$secret_key"
done

openfga_token=$(random)
for reader in api worker; do put "$reader" openfga_token "$goldcrest" "$openfga_token"; done
put openfga config.yaml "$openfga" "$(
  cat <<YAML
authn: {method: preshared, preshared: {keys: [$openfga_token]}}
datastore: {engine: sqlite, uri: "file:/data/openfga.db"}
playground: {enabled: false}
log: {level: warn}
YAML
)"

for client in admin alice-cli bob-cli service; do put keycloak "$client" "$keycloak" "$(random)"; done

# The CA that signs for users, and the login node's own key, which the workers pin.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ssh-keygen -q -t ed25519 -N '' -C 'goldcrest user CA' -f "$scratch/user_ca"
ssh-keygen -q -t ed25519 -N '' -C "$login_host" -f "$scratch/host_key"
put worker user_ca "$goldcrest" "$(cat "$scratch/user_ca")"
put worker known_hosts "$goldcrest" "$login_host $(cut -d ' ' -f 1,2 "$scratch/host_key.pub")"
put login user_ca.pub "$root" "$(cat "$scratch/user_ca.pub")"
put login ssh_host_ed25519_key "$root" "$(cat "$scratch/host_key")"

# The data folders of services that do not run as root.
if [ -d "$base/s3-data" ]; then chown "$s3" "$base/s3-data"; fi
if [ -d "$base/openfga-data" ]; then chown "$openfga" "$base/openfga-data"; fi
if [ -d "$base/authz-store" ]; then chown "$goldcrest" "$base/authz-store"; fi

put complete made "$root" 'made by make-secrets.sh'
echo 'secrets: made'
