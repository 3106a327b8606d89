#!/bin/sh
# Runs the tests once on each instruction set that this processor has: the
# kernels' (ROPEWALK_ISA), and where the lab is built ATen's
# (ATEN_CPU_CAPABILITY), OpenBLAS's (OPENBLAS_CORETYPE) and with one thread and
# two. A test's verdict depends on none of them.
#
#   tools/test_isas.sh BUILD [CTEST ARGUMENT]...
set -u

if [ $# -lt 1 ] || ! [ -x "$1/bin/ropewalk" ]; then
  echo "usage: $0 BUILD [CTEST ARGUMENT]...; BUILD holds bin/ropewalk" >&2
  exit 2
fi
build=$1
shift
red=

# run NAME=VALUE TESTS [CTEST ARGUMENT]...: the tests whose names match TESTS.
run() {
  setting=$1
  tests=$2
  shift 2
  echo "== $setting"
  env "$setting" ctest --test-dir "$build" -R "$tests" --output-on-failure \
    --no-tests=error "$@" || red="$red $setting"
}

for isa in scalar sse4 avx2 avx3 avx3_dl neon; do
  # The program refuses a set that is not there.
  ROPEWALK_ISA=$isa "$build/bin/ropewalk" --version >/dev/null 2>&1 || continue
  run "ROPEWALK_ISA=$isa" \
    '^(kernels|attention_.*|model|engine|evaluate|e2e|lab_ops)_test$' "$@"
done

if [ -x "$build/bin/ropewalk-lab" ]; then
  has() { grep -qw "$1" /proc/cpuinfo; }
  lab='^lab_.*_test$'
  run ATEN_CPU_CAPABILITY=default "$lab" "$@"
  if has avx2; then
    run ATEN_CPU_CAPABILITY=avx2 "$lab" "$@"
    run OPENBLAS_CORETYPE=Haswell "$lab" "$@"
  fi
  if has avx512vl; then
    run ATEN_CPU_CAPABILITY=avx512 "$lab" "$@"
    run OPENBLAS_CORETYPE=SkylakeX "$lab" "$@"
  fi
  for threads in 1 2; do
    run OMP_NUM_THREADS=$threads "$lab" "$@"
  done
fi

if [ -n "$red" ]; then
  echo "red under:$red" >&2
  exit 1
fi
