#!/bin/sh
# The server under other people's clients (clients_test.py), in an environment
# with the package `openai` that is made once and kept.
#
#   tests/serve/run.sh PROGRAM [INSTRUCT_MODEL]
#   CLIENTS='llm litellm aider-chat' tests/serve/run.sh PROGRAM INSTRUCT_MODEL
#
# CLIENTS are packages of programs to test besides; the tests of those that are
# not there are skipped. ROPEWALK_JS_CLIENT names a folder in which `npm install
# openai` was run.
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
if test -n "${CLIENTS:-}"; then
  # shellcheck disable=SC2086  # a list
  "$venv/bin/python" -m pip install -q --disable-pip-version-check $CLIENTS ||
    skip "PyPI does not give $CLIENTS"
fi
exec "$venv/bin/python" tests/serve/clients_test.py "$1" \
  models/novels-4m.gguf ${2:+"$2"}
