#!/usr/bin/env bash
# Run the default pipeline, with fewer epochs and draws, in clones that differ in all that must not
# matter; dvc.lock, the metrics and the weights must be the same bytes.
#
#     tests/reproduce.sh            two clones, the second on one core, up to the report
#     tests/reproduce.sh emulated   a clone here, one on an emulated processor without AVX-512 and
#                                   with other caches, up to the training; takes qemu-x86_64
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

reproduce() { # folder, last stage, what else to give dvc exp run, command to put before it
  git clone --quiet "$project" "$work/$1"
  (cd "$work/$1" && ${4:-} dvc exp run --quiet -S train.epochs=2 ${3:-} "$2") \
    &> "$work/log" || { grep -av "TCG doesn't support" "$work/log"; exit 1; }
}

compare() { # folder, what
  for what in "${@:2}"; do
    diff --recursive --brief "$work/first/$what" "$work/$1/$what"
  done
  echo "$1: the same bytes in ${*:2}"
}

export DVC_NO_ANALYTICS=1
case ${1:-here} in
here)
  few="-S train.repeats=3"
  (umask 022 && PYTHONHASHSEED=1 LC_ALL=C.UTF-8 TZ=UTC reproduce first report "$few")
  (umask 077 && PYTHONHASHSEED=2 LC_ALL=C TZ=Asia/Kathmandu \
    reproduce "second, on one core" report "$few" "taskset 1")
  compare "second, on one core" dvc.lock metrics data/models data/predictions
  ;;
emulated)
  # A product takes a hundred times as long when emulated.
  few="-S train.repeats=1 -S train.samples=64 -S train.validation_samples=100"
  reproduce first train "$few"
  mkdir "$work/bin"
  # The emulator crashes in NumPy's sort for AVX2.
  printf '#!/bin/sh\nNPY_DISABLE_CPU_FEATURES=X86_V3 exec qemu-x86_64 -cpu Haswell %s "$@"\n' \
    "$(command -v python)" > "$work/bin/python"
  chmod +x "$work/bin/python"
  PATH="$work/bin:$PATH" reproduce emulated train "$few"
  compare emulated data/embeddings data/models metrics/training
  ;;
*)
  echo "usage: tests/reproduce.sh [emulated]" >&2
  exit 2
  ;;
esac
