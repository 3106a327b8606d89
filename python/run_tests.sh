#!/bin/sh
# Builds the Python package from its own source distribution, so that a file
# that is missing there is noticed, and runs python/tests on what pip installed.
#
#   python/run_tests.sh [--torch] [--engine FOLDER] [arguments of pytest]
#
# Tools and test requirements are kept in ~/.cache/ropewalk/venv-python, sources
# and the package in build-python/. --torch adds PyTorch and transformers (5.6 GB)
# for the tests of ropewalk.hf, and builds the operators for it. --engine
# compiles the bindings alone, in FOLDER, where CMake has built the engine, and
# leaves the distribution out. Exit status 77: skipped, because PyPI cannot be
# reached or Python has no venv.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$PWD/build-python
venv=${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk/venv-python
python=$venv/bin/python

requirements='nanobind>=2.4 scikit-build-core>=0.10 build numpy pytest pandas
  matplotlib nbclient ipykernel lm-eval>=0.4.9'
torch= engine=
while :; do
  case "${1:-}" in
    --torch) torch='torch transformers accelerate'; shift ;;
    --engine) engine=$(cd "$2" && pwd) || exit 1; shift 2 ;;
    *) break ;;
  esac
done

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
# The compiler by the name that the presets use: ccache goes by it.
CXX=${CXX:-c++}
CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)}
export CXX CMAKE_BUILD_PARALLEL_LEVEL

from_distribution() {
  # The distribution, unpacked. Files that did not change keep their times, so
  # that only what changed is compiled.
  rm -rf "$work/dist" "$work/unpacked"
  "$python" -m build -q --sdist --no-isolation -o "$work/dist" . \
    >"$work/sdist.log" 2>&1 || { cat "$work/sdist.log" >&2; exit 1; }
  mkdir -p "$work/unpacked" "$work/source"
  tar xzf "$work"/dist/ropewalk-*.tar.gz -C "$work/unpacked" --strip-components 1
  "$python" - "$work/unpacked" "$work/source" <<'END'
import filecmp, pathlib, shutil, sys

new, kept = map(pathlib.Path, sys.argv[1:])
files = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
for file in files:
    if not (kept / file).is_file() or not filecmp.cmp(new / file, kept / file, shallow=False):
        (kept / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(new / file, kept / file)
for path in kept.rglob("*"):
    file = path.relative_to(kept)
    if path.is_file() and file.parts[0] != "build" and file not in files:
        path.unlink()
END
  "$python" -m pip install -q --disable-pip-version-check --no-deps \
    --no-build-isolation --target "$work/site" \
    -C build-dir="$work/source/build" "$work/source" \
    >"$work/install.log" 2>&1 || { cat "$work/install.log" >&2; exit 1; }
}

from_engine() {
  {
    cmake "$engine" -DROPEWALK_PYTHON=ON -DPython_EXECUTABLE="$python" &&
      cmake --build "$engine" --target ropewalk_python ropewalk_python_stub &&
      cmake --install "$engine" --component python --prefix "$work/site" --strip &&
      cp -R python/ropewalk "$work/site"
  } >"$work/install.log" 2>&1 || { cat "$work/install.log" >&2; exit 1; }
}

rm -rf "$work/site"
if [ -n "$engine" ]; then from_engine; else from_distribution; fi

# The package that was installed, and none from the environment.
PYTHONPATH=$work/site
PYTHONNOUSERSITE=1
export PYTHONPATH PYTHONNOUSERSITE
if [ -n "$torch" ]; then
  "$python" -m ropewalk.torch_ops.build --jobs "$CMAKE_BUILD_PARALLEL_LEVEL" \
    >"$work/operators.log" 2>&1 || { cat "$work/operators.log" >&2; exit 1; }
fi
exec "$python" -m pytest -q "$@"
