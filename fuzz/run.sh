#!/bin/sh
# Runs fuzz targets: each replays its corpus, then mutates it.
#
#   run.sh FOLDER SECONDS JOBS [TARGET...]
#
# FOLDER is the build folder. JOBS targets run at a time; without names, all
# targets run. New inputs are kept in FOLDER/corpus, from which the next run
# starts; inputs that were findings are in FOLDER/findings. Prints one line for
# each target, and the report of each finding; the exit code is then 1.
set -u
cd "$(dirname "$0")/.." || exit 1
folder=$1 seconds=$2 jobs=$3
shift 3

# An input may take 20 s, 256 MiB at once and 2 GiB in all. Inputs have some KiB,
# so an input that needs more shows a length that was not checked.
run_one() {
  target=$1
  program=$folder/fuzz/$target
  log=$folder/logs/$target.log
  grown=$folder/corpus/$target
  mkdir -p "$grown" "$folder/logs" "$folder/findings"
  set -- "$grown"
  test -d "fuzz/corpus/$target" && set -- "$@" "fuzz/corpus/$target"
  test -f "fuzz/$target.dict" && set -- "-dict=fuzz/$target.dict" "$@"
  # Two tiles of keys and values do not fit into 4 KiB, the usual limit.
  case $target in
    session | memory | folder) set -- -max_len=16384 "$@" ;;
  esac
  if "$program" -max_total_time="$seconds" -timeout=20 -malloc_limit_mb=256 \
    -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$folder/findings/$target-" "$@" >"$log" 2>&1; then
    awk -v target="$target" '
      /number_of_executed_units/ { inputs = $2 }
      /cov: / { for (i = 1; i < NF; ++i) if ($i == "cov:") edges = $(i + 1) }
      /DONE/ { done = 1 }
      / runs in / { seconds = $(NF - 1) }
      END { printf "fuzz: %-14s %9d inputs in %4d s, %5d edges, no finding\n",
              target, inputs, seconds, edges }' "$log"
    return 0
  fi
  echo "fuzz: $target: FINDING; the end of $log:"
  grep -avE '^#[0-9]+	' "$log" | tail -n 40
  echo "fuzz: again: $program $folder/findings/$target-..."
  return 1
}

if [ "${FUZZ_ONE:-}" = yes ]; then
  run_one "$1"
  exit
fi
if [ $# = 0 ]; then
  for program in "$folder"/fuzz/*; do
    test -x "$program" && set -- "$@" "$(basename "$program")"
  done
fi
printf '%s\n' "$@" | FUZZ_ONE=yes xargs -P "$jobs" -I '{}' \
  sh "$0" "$folder" "$seconds" 1 '{}'
status=$?
for target; do cat "$folder/logs/$target.log"; done | awk '
  /number_of_executed_units/ { inputs += $2; ++targets }
  END { printf "fuzz: %d inputs over %d targets\n", inputs, targets }'
test $status = 0
