#!/usr/bin/env bash
# Installs what the lab needs and is missing; done at once when nothing is. Usage: lab/install.sh [demo|lab|test]
#   demo       Node modules, Redis and sshd; Slurm is used where it is but not asked for
#   lab        everything: Slurm with accounting, the S3 server, login shells, OpenFGA
#   test       that, a PKCS#11 token in software, the Python clients that the tests drive, and Keycloak
# `lab/install.sh missing demo|slurm|lab|test` installs nothing and prints the Debian packages that are not there.
# GOLDCREST_SKIP_INSTALL=1 skips it all; GOLDCREST_CACHE names the folder that keeps what was built.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
openfga_version=$(<lab/openfga.version)
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin"
purpose=${1:-lab}
home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
cache=${GOLDCREST_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/goldcrest}
openfga="$cache/openfga-$openfga_version/openfga"
read -r keycloak_version keycloak_sha256 <lab/keycloak.version
keycloak="$cache/keycloak-$keycloak_version"
python_lock=lab/python/requirements.txt
missing=()

if [ "${GOLDCREST_SKIP_INSTALL:-}" = 1 ] && [ "$purpose" != missing ]; then exit 0; fi

say() { printf 'install: %s\n' "$*" >&2; }

# Prints the Debian packages whose programs are not there. A line: what must exist, then the packages that bring it.
missing_packages() {
  local probe packages
  while read -r probe packages; do
    case $probe in
      /*) compgen -G "$probe" >/dev/null || echo "$packages" ;;
      *) command -v "$probe" >/dev/null || echo "$packages" ;;
    esac
  done
}

demo_packages() {
  cat <<'LIST'
redis-server redis-server
/usr/sbin/sshd openssh-server
ssh-keygen openssh-client
LIST
}

slurm_packages() {
  cat <<'LIST'
munged munge
sbatch slurm-client
slurmctld slurmctld
slurmd slurmd
/usr/lib/*/slurm-wlm/select_cons_tres.so slurm-wlm-basic-plugins
slurmdbd slurmdbd
/usr/lib/*/slurm-wlm/accounting_storage_mysql.so slurm-wlm-mysql-plugin
mariadbd mariadb-server
slurmrestd slurmrestd
/usr/lib/*/slurm-wlm/auth_jwt.so slurm-wlm-jwt-plugin
LIST
}

lab_packages() {
  demo_packages
  slurm_packages
  cat <<'LIST'
ceph-mon ceph-mon
ceph-osd ceph-osd
monmaptool ceph-base
ceph ceph-common
radosgw radosgw
zsh zsh
tcsh tcsh
fish fish
dash dash
perl perl
curl curl
file file
LIST
}

test_packages() {
  lab_packages
  cat <<'LIST'
softhsm2-util softhsm2
pkcs11-tool opensc
/usr/bin/python3 python3
/usr/lib/python3*/ensurepip python3-venv
java default-jre-headless
mvn maven
unzip unzip
mkfs.btrfs btrfs-progs
LIST
}

# Node modules are in step with the lock file when every package of it that this platform needs is there in its version.
modules_in_step() {
  [ -f node_modules/.package-lock.json ] || return 1
  local lock
  lock=$(sha256sum <package-lock.json)
  if [ "$(cat node_modules/.goldcrest-lock 2>/dev/null)" = "$lock" ]; then return 0; fi
  node -e '
    const read = (file) => JSON.parse(require("node:fs").readFileSync(file, "utf8")).packages;
    const installed = read("node_modules/.package-lock.json");
    const wanted = Object.entries(read("package-lock.json")).filter(([path, entry]) => path !== "" && !entry.optional);
    process.exit(wanted.every(([path, entry]) => installed[path]?.version === entry.version) ? 0 : 1);
  ' || return 1
  # A mark that saves half a second next time; who may not write here does without.
  { printf '%s\n' "$lock" >node_modules/.goldcrest-lock; } 2>/dev/null || true
}

install_modules() {
  if modules_in_step; then return 0; fi
  if ! command -v npm >/dev/null; then
    missing+=('npm: install Node.js 20.19 or newer with npm')
    return 0
  fi
  say 'Node modules (npm ci)'
  npm ci --no-audit --no-fund
  sha256sum <package-lock.json >node_modules/.goldcrest-lock
}

# With systemd or another init, packages would start their services: this keeps them from it, unless the machine has a
# policy of its own.
forbid_service_starts() {
  if [ -e /usr/sbin/policy-rc.d ]; then return 0; fi
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

install_packages() {
  local packages
  packages=$("$1" | missing_packages | sort -u | tr '\n' ' ')
  if [ -z "$packages" ]; then return 0; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    for package in $packages; do missing+=("$package: as root, apt-get install $package (Debian 12)"); done
    return 0
  fi
  say "Debian packages: $packages"
  forbid_service_starts
  apt-get -qq -o DPkg::Lock::Timeout=300 update
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install $packages >&2
}

build_openfga() {
  local folder log
  folder=$(dirname "$openfga")
  log="$folder/build.log"
  mkdir -p "$folder"
  # Two installations at once: the second waits and finds the server built.
  exec 9>"$folder/lock"
  flock 9
  if [ -x "$openfga" ]; then return 0; fi
  say "OpenFGA $openfga_version from its Go module, once (minutes; log: $log)"
  (cd "$folder" && GOBIN="$folder/build" CGO_ENABLED=0 nice -n 5 \
    go install -trimpath -ldflags='-s -w' "github.com/openfga/openfga/cmd/openfga@v$openfga_version") >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    return 1
  }
  mv "$folder/build/openfga" "$openfga"
  rmdir "$folder/build"
}

openfga_build=
start_openfga_build() {
  if [ -x "$openfga" ]; then return 0; fi
  if ! command -v go >/dev/null; then
    missing+=("OpenFGA $openfga_version: install Go 1.26 or newer, or put the server at $openfga")
    return 0
  fi
  build_openfga &
  openfga_build=$!
}

finish_openfga_build() {
  if [ -n "$openfga_build" ] && ! wait "$openfga_build"; then
    missing+=("OpenFGA $openfga_version: it did not build; put the server at $openfga")
  fi
}

# The clients, in the versions and with the hashes of the lock, in an environment of that lock's own. The system's
# Python makes it, since that is the one which batch jobs of the lab find.
install_python_clients() {
  local environment
  environment="$cache/python-$(sha256sum <"$python_lock" | cut -c1-16)"
  if [ -f "$environment/complete" ]; then return 0; fi
  mkdir -p "$cache"
  # Two installations at once: the second waits and finds the environment made.
  exec 8>"$environment.lock"
  flock 8
  if [ -f "$environment/complete" ]; then return 0; fi
  say "Python clients for the tests, once (half a minute; log: $environment.log)"
  rm -rf "$environment"
  if /usr/bin/python3 -m venv "$environment" >"$environment.log" 2>&1 &&
    "$environment/bin/python" -m pip install --disable-pip-version-check --no-input --require-hashes \
      --only-binary :all: -r "$python_lock" >>"$environment.log" 2>&1; then
    touch "$environment/complete"
  else
    tail -n 5 "$environment.log" >&2
    missing+=("the Python clients of $python_lock (Python 3.11 or newer): they did not install")
  fi
}

# Keycloak as its project releases it, by Maven, checked, and prepared for a database in memory so that starts are short.
build_keycloak() {
  local part="$keycloak.part"
  mkdir -p "$cache"
  # Two installations at once: the second waits and finds the server there.
  exec 7>"$keycloak.lock"
  flock 7
  if [ -d "$keycloak" ]; then return 0; fi
  say "Keycloak $keycloak_version, once (a minute or two; log: $keycloak.log)"
  rm -rf "$part"
  mkdir "$part"
  {
    mvn -B -q -Dmaven.repo.local="$part/maven" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      "-Dartifact=org.keycloak:keycloak-quarkus-dist:$keycloak_version:zip" "-DoutputDirectory=$part" &&
      echo "$keycloak_sha256  $part/keycloak-quarkus-dist-$keycloak_version.zip" | sha256sum --check --status &&
      unzip -q "$part/keycloak-quarkus-dist-$keycloak_version.zip" -d "$part" &&
      nice -n 5 bash "$part/keycloak-$keycloak_version/bin/kc.sh" build --db=dev-mem
  } >"$keycloak.log" 2>&1 </dev/null && mv "$part/keycloak-$keycloak_version" "$keycloak" && rm -rf "$part"
}

keycloak_build=
start_keycloak_build() {
  if [ -d "$keycloak" ] || ! command -v mvn >/dev/null; then return 0; fi
  build_keycloak &
  keycloak_build=$!
}

finish_keycloak_build() {
  if [ -n "$keycloak_build" ] && ! wait "$keycloak_build"; then
    tail -n 5 "$keycloak.log" >&2
    missing+=("Keycloak $keycloak_version: it did not install; put its released files at $keycloak, after kc.sh build --db=dev-mem")
  fi
}

case $purpose in
  demo)
    install_modules
    install_packages demo_packages
    ;;
  lab | test)
    start_openfga_build
    install_modules
    install_packages "${purpose}_packages"
    if [ "$purpose" = test ]; then
      start_keycloak_build
      install_python_clients
      finish_keycloak_build
    fi
    finish_openfga_build
    ;;
  missing)
    "${2:-lab}_packages" | missing_packages | sort -u
    ;;
  *)
    say "unknown purpose $purpose; use demo, lab or test"
    exit 2
    ;;
esac

if [ ${#missing[@]} -gt 0 ]; then
  for line in "${missing[@]}"; do say "missing: $line"; done
  exit 1
fi
