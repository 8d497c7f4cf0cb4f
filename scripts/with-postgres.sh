#!/bin/sh
# Runs a command with a private, empty PostgreSQL of its own: scripts/with-postgres.sh npm test
# The server listens on a free loopback port, its files are in a temporary folder, and both go when the command ends.
set -eu

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ]; then bin=$(dirname "$(command -v initdb || true)"); fi
if [ ! -x "$bin/initdb" ]; then echo "no PostgreSQL server here: apt-get install postgresql" >&2; exit 1; fi

folder=$(mktemp -d)
# PostgreSQL refuses to run as root; the user that its package makes will do.
if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; as="setpriv --reuid=postgres --regid=postgres --clear-groups"; else as=""; fi
port=$(node -e "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })")

stop() { $as "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true; rm -rf "$folder"; }
trap stop EXIT
trap 'exit 130' INT TERM

cd "$folder"
$as "$bin/initdb" -D "$folder/data" -U plimsoll -A trust -N >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
$as "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/log" -w -o "-h 127.0.0.1 -p $port -k $folder" start >/dev/null
cd "$OLDPWD"

PLIMSOLL_TEST_POSTGRES="postgres://plimsoll@127.0.0.1:$port/postgres" "$@"
