#!/bin/sh
# Builds the Python package from its own source distribution, so that a file
# that is missing there is noticed, and runs python/tests on what pip installed.
#
#   python/run_tests.sh [--torch] [arguments of pytest]
#
# Tools and test requirements are kept in ~/.cache/ropewalk/venv-python, sources
# and the package in build-python/. --torch adds PyTorch and transformers (5.6 GB)
# for the tests of ropewalk.hf. Exit status 77: skipped, because PyPI cannot be
# reached or Python has no venv.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$PWD/build-python
venv=${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk/venv-python
python=$venv/bin/python

requirements='nanobind>=2.4 scikit-build-core>=0.10 build numpy pytest pandas
  matplotlib nbclient ipykernel lm-eval>=0.4.9'
torch=
if [ "${1:-}" = --torch ]; then
  shift
  torch='torch transformers accelerate'
fi

skip() {
  echo "python: $1; the tests of the Python package are SKIPPED" >&2
  exit 77
}

# One run at a time makes or changes the environment.
mkdir -p "$work" "$(dirname "$venv")"
exec 9>"$venv.lock"
if command -v flock >/dev/null; then flock 9; fi
if ! [ -x "$python" ]; then
  ${PYTHON:-python3} -m venv "$venv" >"$work/venv.log" 2>&1 || {
    rm -rf "$venv"
    skip 'no environment can be made (`make deps-python` installs python3-venv)'
  }
fi
for wanted in "$requirements" $torch; do
  wanted=$(echo $wanted)
  if ! grep -qsxF "$wanted" "$venv/installed.txt"; then
    if "$python" -m pip install -q --disable-pip-version-check $wanted \
      >"$work/pip.log" 2>&1; then
      echo "$wanted" >>"$venv/installed.txt"
    elif "$python" -m pip download -q --disable-pip-version-check --no-deps \
      -d "$work" nanobind >/dev/null 2>&1; then
      cat "$work/pip.log" >&2
      exit 1
    else
      skip 'PyPI cannot be reached'
    fi
  fi
done
exec 9>&-

set -e
# The distribution, unpacked. Files that did not change keep their times, so
# that only what changed is compiled.
rm -rf "$work/dist" "$work/unpacked"
"$python" -m build -q --sdist --no-isolation -o "$work/dist" . \
  >"$work/sdist.log" 2>&1 || { cat "$work/sdist.log" >&2; exit 1; }
mkdir -p "$work/unpacked" "$work/source"
tar xzf "$work"/dist/ropewalk-*.tar.gz -C "$work/unpacked" --strip-components 1
(cd "$work/unpacked" && find . -type f) | while read -r file; do
  if ! cmp -s "$work/unpacked/$file" "$work/source/$file"; then
    mkdir -p "$(dirname "$work/source/$file")"
    cp "$work/unpacked/$file" "$work/source/$file"
  fi
done
(cd "$work/source" && find . -path ./build -prune -o -type f -print) |
  while read -r file; do
    [ -e "$work/unpacked/$file" ] || rm "$work/source/$file"
  done

# The compiler by the name that the presets use: ccache goes by it.
CXX=${CXX:-c++}
CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)}
export CXX CMAKE_BUILD_PARALLEL_LEVEL
rm -rf "$work/site"
"$python" -m pip install -q --disable-pip-version-check --no-deps \
  --no-build-isolation --target "$work/site" \
  -C build-dir="$work/source/build" "$work/source" \
  >"$work/install.log" 2>&1 || { cat "$work/install.log" >&2; exit 1; }

# The package that was installed, and none from the environment.
PYTHONPATH=$work/site
PYTHONNOUSERSITE=1
export PYTHONPATH PYTHONNOUSERSITE
exec "$python" -m pytest -q "$@"
