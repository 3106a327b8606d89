#!/bin/sh
# The server under other people's clients (clients_test.py), in an environment
# with the package `openai` that is made once and kept.
#
#   tests/serve/run.sh PROGRAM [INSTRUCT_MODEL]
#
# Exit status 77: skipped, because PyPI cannot be reached or Python has no venv.
set -u
cd "$(dirname "$0")/../.." || exit 1
venv=${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk/venv-clients

skip() {
  echo "serve: $1; the tests with other clients are SKIPPED" >&2
  exit 77
}

if ! "$venv/bin/python" -c 'import openai' 2>/dev/null; then
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv" >/dev/null 2>&1 ||
    skip 'no environment can be made (python3-venv)'
  "$venv/bin/python" -m pip install -q --disable-pip-version-check openai \
    >/dev/null 2>&1 || skip 'PyPI cannot be reached'
fi
exec "$venv/bin/python" tests/serve/clients_test.py "$1" \
  models/novels-4m.gguf ${2:+"$2"}
