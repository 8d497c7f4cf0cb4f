#!/bin/sh
# Runs a command with a private, empty Redis of its own: scripts/with-redis.sh npm test
# The server listens on a free loopback port, keeps nothing on the disk, and goes when the command ends.
set -eu

server=$(command -v redis-server || command -v valkey-server || true)
if [ -z "$server" ]; then echo "no Redis server here: apt-get install redis-server" >&2; exit 1; fi
client=$(command -v redis-cli || command -v valkey-cli)

folder=$(mktemp -d)
port=$(node -e "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close(); })")
"$server" --bind 127.0.0.1 --port "$port" --dir "$folder" --save '' --appendonly no >"$folder/log" 2>&1 &
pid=$!

stop() { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$folder"; }
trap stop EXIT
trap 'exit 130' INT TERM

tries=0
until [ "$("$client" -p "$port" ping 2>/dev/null)" = PONG ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then cat "$folder/log" >&2; exit 1; fi
  sleep 0.05
done

PLIMSOLL_TEST_REDIS="redis://127.0.0.1:$port" PLIMSOLL_TEST_REDIS_SERVER="$server" "$@"
