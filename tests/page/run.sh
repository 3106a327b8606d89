#!/bin/sh
# The tests of the server's page, in headless Chromium.
#
#   tests/page/run.sh                 against a server without a model
#   tests/page/run.sh --url URL       and against a server that runs there
#   tests/page/run.sh --model MODEL   and against build/bin/ropewalk serve
#
# Further arguments go to unittest: names of files, classes or tests. Ends with
# 77 where Chromium or PyPI's playwright is missing.

set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${ROPEWALK_PAGE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk/venv-page}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}

while [ $# -gt 0 ]; do
  case $1 in
    --url)
      export ROPEWALK_PAGE_URL=${2:?--url needs a URL}
      shift 2 ;;
    --model)
      : "${2:?--model needs a file}"
      export ROPEWALK_PAGE_MODEL=$(realpath "$2")
      export ROPEWALK_BINARY=${ROPEWALK_BINARY:-$root/build/bin/ropewalk}
      shift 2 ;;
    *) break ;;
  esac
done

if ! [ -x "$CHROMIUM" ]; then
  echo "skipped page: no $CHROMIUM (apt-get install chromium)"
  exit 77
fi
if ! "$venv/bin/python" -c 'import playwright' 2>/dev/null; then
  if ! said=$({ python3 -m venv "$venv" && "$venv/bin/pip" install -q playwright
      } 2>&1); then
    echo "skipped page: no playwright ($(printf '%s' "$said" | tail -n 1))"
    exit 77
  fi
fi

cd "$here" || exit 1
[ $# -gt 0 ] || set -- chat_test documents_test looks_test markdown_test \
  real_test schemes_test
exec "$venv/bin/python" -B -m unittest "$@"
