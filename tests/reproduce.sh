#!/usr/bin/env bash
# Run the default pipeline, with fewer epochs and draws, in clones that differ in all that must not
# matter; dvc.lock, the metrics and the weights must be the same bytes. Where qemu-x86_64 is, once
# more, some ten minutes, with the stages on an emulated processor without AVX-512 and with other caches.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

reproduce() { # folder, command to put before dvc
  git clone --quiet "$project" "$work/$1"
  (cd "$work/$1" && ${2:-} dvc exp run --quiet -S train.epochs=2 -S train.repeats=3) \
    &> "$work/log" || { cat "$work/log"; exit 1; }
}

compare() { # folder
  for what in dvc.lock metrics data/models data/predictions; do
    diff --recursive --brief "$work/first/$what" "$work/$1/$what"
  done
  echo "$1: the same bytes"
}

export DVC_NO_ANALYTICS=1
(umask 022 && PYTHONHASHSEED=1 LC_ALL=C.UTF-8 TZ=UTC reproduce first)
(umask 077 && PYTHONHASHSEED=2 LC_ALL=C TZ=Asia/Kathmandu reproduce "second, on one core" "taskset 1")
compare "second, on one core"

if command -v qemu-x86_64 > /dev/null; then
  mkdir "$work/bin"
  printf '#!/bin/sh\nexec qemu-x86_64 -cpu Haswell %s "$@"\n' "$(command -v python)" > "$work/bin/python"
  chmod +x "$work/bin/python"
  PATH="$work/bin:$PATH" reproduce "third, emulated"
  compare "third, emulated"
else
  echo "no qemu-x86_64: not tried on another processor"
fi
