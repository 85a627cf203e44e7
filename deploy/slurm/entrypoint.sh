#!/bin/bash
# Starts the cluster of this container, one daemon after the other, and ends when one of them ends. /state keeps the
# database and the controller's state; /run/secrets/login holds the host key and the public key of the user CA.
set -euo pipefail

readonly users=(alice bob goldcrest)
pids=()

say() { printf 'login: %s\n' "$*"; }

# until_true WHAT SECONDS COMMAND…
until_true() {
  local what=$1 tries=$(($2 * 5))
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
      say "$what did not come up"
      exit 1
    fi
    sleep 0.2
  done
  say "$what is up"
}

# background COMMAND… as a daemon of ours
background() {
  "$@" &
  pids+=($!)
}

# Takes the place of the process it is called in, so that a signal to a daemon's number reaches the daemon.
# shellcheck disable=SC2317
as() { exec setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }

owned_folder() { install -d -o "$1" -g "$1" -m "$2" "${@:3}"; }

# In reverse order: jobs and accounting are written down before the database goes.
# shellcheck disable=SC2317
stop() {
  trap - TERM INT
  say 'stopping'
  local at
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    kill "${pids[at]}" 2>/dev/null || continue
    wait "${pids[at]}" || true
  done
  exit 0
}
trap stop TERM INT

owned_folder munge 0755 /run/munge
owned_folder munge 0700 /state/munge /var/log/munge
owned_folder mysql 0755 /run/mysqld
owned_folder mysql 0700 /state/mysql
owned_folder slurm 0755 /run/slurm /state/slurm
install -d -m 0755 /run/sshd /var/spool/slurmd.c1 /var/spool/slurmd.c2

if [ ! -e /state/munge/munge.key ]; then
  openssl rand -out /state/munge/munge.key 128
  chown munge:munge /state/munge/munge.key
  chmod 0400 /state/munge/munge.key
fi
background as munge munged --foreground --key-file=/state/munge/munge.key --seed-file=/state/munge/seed
until_true munge 15 munge --no-input

if [ ! -d /state/mysql/mysql ]; then
  say 'making the database'
  mariadb-install-db --no-defaults --user=mysql --datadir=/state/mysql --skip-test-db \
    --auth-root-authentication-method=socket >/dev/null
fi
database=(--no-defaults --socket=/run/mysqld/mysqld.sock)
background as mysql mariadbd "${database[@]}" --datadir=/state/mysql --bind-address=127.0.0.1 --skip-name-resolve \
  --innodb-buffer-pool-size=128M --innodb-lock-wait-timeout=900
until_true mariadb 60 mariadb-admin "${database[@]}" ping

# A new password at each start: nobody but slurmdbd needs it.
password=$(openssl rand -hex 16)
mariadb "${database[@]}" <<SQL
CREATE DATABASE IF NOT EXISTS slurm_accounting;
CREATE OR REPLACE USER slurm@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON slurm_accounting.* TO slurm@'127.0.0.1';
SQL
(
  umask 077
  cat >/etc/slurm/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdAddr=127.0.0.1
DbdHost=localhost
DbdPort=6819
SlurmUser=slurm
DebugLevel=info
PidFile=/run/slurm/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3306
StorageUser=slurm
StoragePass=$password
StorageLoc=slurm_accounting
CONF
)
chown slurm:slurm /etc/slurm/slurmdbd.conf
background as slurm slurmdbd -D
until_true slurmdbd 60 sacctmgr --noheader show cluster

sacctmgr --immediate load file=/dev/stdin >/dev/null <<'ASSOCIATIONS' || say 'the accounts are there already'
Cluster - 'compose':Fairshare=1:QOS='normal'
Parent - 'root'
User - 'root':DefaultAccount='root':AdminLevel='Administrator':Fairshare=1
Account - 'proj01':Description='proj01':Organization='compose':Fairshare=1
Parent - 'proj01'
User - 'alice':DefaultAccount='proj01':Fairshare=1
User - 'bob':DefaultAccount='proj01':Fairshare=1
User - 'goldcrest':DefaultAccount='proj01':AdminLevel='Operator':Fairshare=1
ASSOCIATIONS

background as slurm slurmctld -D
for node in c1 c2; do background slurmd -D -N "$node"; done
# shellcheck disable=SC2317
is_idle() { [ "$(sinfo --noheader --Node --partition=normal --states=idle --format=%N | sort -u | wc -l)" = 2 ]; }
until_true 'the cluster' 60 is_idle

for user in "${users[@]}"; do
  if [ ! -d "/home/$user" ]; then install -d -o "$user" -g "$user" -m 0700 "/home/$user"; fi
done
background /usr/sbin/sshd -D -e
say 'ready'

wait -n || true
say 'a daemon has ended'
exit 1
