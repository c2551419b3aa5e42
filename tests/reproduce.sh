#!/usr/bin/env bash
# Run the default pipeline, with fewer epochs and draws, in clones that differ in all that must not
# matter; dvc.lock, the metrics and the weights must be the same bytes. Where qemu-x86_64 is, once
# more up to the training, some ten minutes, on an emulated processor: no AVX-512, other caches.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

reproduce() { # folder, last stage, command to put before dvc
  git clone --quiet "$project" "$work/$1"
  (cd "$work/$1" && ${3:-} dvc exp run --quiet -S train.epochs=2 -S train.repeats=3 "$2") \
    &> "$work/log" || { cat "$work/log"; exit 1; }
}

compare() { # folder, what
  for what in "${@:2}"; do
    diff --recursive --brief "$work/first/$what" "$work/$1/$what"
  done
  echo "$1: the same bytes in ${*:2}"
}

export DVC_NO_ANALYTICS=1
(umask 022 && PYTHONHASHSEED=1 LC_ALL=C.UTF-8 TZ=UTC reproduce first report)
(umask 077 && PYTHONHASHSEED=2 LC_ALL=C TZ=Asia/Kathmandu reproduce "second, on one core" report "taskset 1")
compare "second, on one core" dvc.lock metrics data/models data/predictions

if command -v qemu-x86_64 > /dev/null; then
  mkdir "$work/bin"
  printf '#!/bin/sh\nexec qemu-x86_64 -cpu Haswell %s "$@"\n' "$(command -v python)" > "$work/bin/python"
  chmod +x "$work/bin/python"
  PATH="$work/bin:$PATH" reproduce "third, emulated" train
  compare "third, emulated" data/embeddings data/models metrics/training
else
  echo "no qemu-x86_64: not tried on another processor"
fi
