#!/usr/bin/env bash
# Installs BUILD below a temporary folder and uses it as strangers do: the
# examples are built outside of this tree by CMake and by pkg-config, in C++ and
# C, against the shared and the static library, and run on MODEL.
#
# Usage: install_test.sh CMAKE BUILD EXAMPLES MODEL
set -euo pipefail
cmake=$1 build=$2 examples=$3 model=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "install_test: $*" >&2; exit 1; }

# --- what is installed

DESTDIR=$work/root "$cmake" --install "$build" --prefix /opt/ropewalk --strip \
  >"$work/log" || { cat "$work/log"; fail "cmake --install failed"; }
prefix=$work/root/opt/ropewalk
test "$(ls "$work/root")" = opt || fail "files outside of the prefix"
# Nothing may lean on the build folder or on where the files were meant to go.
mv "$work/root/opt/ropewalk" "$work/moved"
prefix=$work/moved
libdir=$(dirname "$(find "$prefix" -name libropewalk.a)")

headers=$(cd "$prefix/include" && find . -type f | sort | tr '\n' ' ')
expected='./ropewalk/batch.h ./ropewalk/c.h ./ropewalk/error.h ./ropewalk/export.h'
expected+=' ./ropewalk/memory.h ./ropewalk/model.h ./ropewalk/scheme.h ./ropewalk/session.h'
expected+=' ./ropewalk/tokenizer.h ./ropewalk/version.h '
test "$headers" = "$expected" || fail "installed headers are $headers"
test "$(ls "$prefix/bin")" = ropewalk || fail "bin/ has more than the program"
if nm "$prefix/bin/ropewalk" 2>/dev/null | grep -q .; then
  fail "the program is not stripped"
fi
if grep -rIl -e "$build" -e "$work" "$libdir/cmake" "$libdir/pkgconfig"; then
  fail "these files name a folder of the build"
fi

# --- what a container of the program needs

if command -v dpkg >/dev/null; then
  for library in $(objdump -p "$prefix/bin/ropewalk" | awk '/NEEDED/ {print $2}'); do
    package=$(dpkg -S "*/$library" | head -n 1 | cut -d: -f1)
    case $package in libc6* | libgcc* | libstdc++6*) continue ;; esac  # always there
    grep -qw -- "$package" "$examples/../packaging/Containerfile" ||
      fail "packaging/Containerfile does not install $package ($library)"
  done
fi

# --- what the shared library shows

public='Batch|Model|Memory|Session|Scheme|Tokenizer|StreamDecoder|Sampler|FormatError'
public+='|IoError|MemoryLimitError|Version|ListSchemes|Read|NameOf|ParseKvType'
public+='|SetCheckFailureHandler|operator=='
nm -DC --defined-only "$libdir/libropewalk.so" | cut -d' ' -f3- >"$work/symbols"
grep -q '^ropewalk::Model::Load' "$work/symbols" || fail "no symbols found"
if grep -Ev "^(ropewalk_[a-z_0-9]+\$|((typeinfo|typeinfo name|vtable) for )?\
ropewalk::($public)(\(|\[|::|\$))" "$work/symbols"; then
  fail "these symbols are exported and no part of the API"
fi

# --- programs

text='There was no possibility of taking a walk that day.'
run() { # NAME PROGRAM: the same text from each way of building one.
  "$2" "$model" "$text" >"$work/out" 2>"$work/err" ||
    { cat "$work/err"; fail "$2 failed"; }
  grep -qF "$text" "$work/out" || [ "$1" = c ] || fail "$2 told nothing"
  test -s "$work/$1.expected" || cp "$work/out" "$work/$1.expected"
  cmp "$work/out" "$work/$1.expected" || fail "$2 tells another story"
  echo "ran ${2#"$work"/}"
}

mkdir "$work/project"
cp "$examples"/{generate.cc,many.cc,generate.c} "$work/project"
cat >"$work/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(uses_ropewalk LANGUAGES C CXX)
find_package(ropewalk 0.1 REQUIRED COMPONENTS static)
foreach(kind ropewalk ropewalk_static)
  foreach(source generate.cc many.cc generate.c)
    string(REPLACE . _ name ${source})
    add_executable(${kind}_${name} ${source})
    target_link_libraries(${kind}_${name} PRIVATE ropewalk::${kind})
  endforeach()
endforeach()
END
"$cmake" -S "$work/project" -B "$work/by_cmake" -DCMAKE_PREFIX_PATH="$prefix" \
  >"$work/log" && "$cmake" --build "$work/by_cmake" >>"$work/log" ||
  { cat "$work/log"; fail "the project of find_package does not build"; }
for kind in ropewalk ropewalk_static; do
  run generate "$work/by_cmake/${kind}_generate_cc"
  run many "$work/by_cmake/${kind}_many_cc"
  run c "$work/by_cmake/${kind}_generate_c"
done

# A project in C alone takes the shared library.
mkdir "$work/c_project"
cp "$examples/generate.c" "$work/c_project"
cat >"$work/c_project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(uses_ropewalk LANGUAGES C)
set(CMAKE_C_STANDARD 99)
find_package(ropewalk REQUIRED)
add_executable(generate generate.c)
target_link_libraries(generate PRIVATE ropewalk::ropewalk)
END
"$cmake" -S "$work/c_project" -B "$work/c_alone" \
  -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" &&
  "$cmake" --build "$work/c_alone" >>"$work/log" ||
  { cat "$work/log"; fail "the project in C does not build"; }
run c "$work/c_alone/generate"

# A version that is not there is refused.
sed 's/ropewalk 0.1/ropewalk 99/' -i "$work/project/CMakeLists.txt"
if "$cmake" -S "$work/project" -B "$work/refused" \
  -DCMAKE_PREFIX_PATH="$prefix" >/dev/null 2>&1; then
  fail "version 99 was found"
fi

export PKG_CONFIG_PATH=$libdir/pkgconfig
export LD_LIBRARY_PATH=$libdir
cxx=${CXX:-c++} cc=${CC:-cc}
cflags=$(pkg-config --cflags ropewalk)
shared=$(pkg-config --libs ropewalk)
static="-Wl,--as-needed -l:libropewalk.a $(pkg-config --static --libs ropewalk)"
strict='-Wall -Wextra -pedantic -Werror'
# Words are meant to be split in all of these.
# shellcheck disable=SC2086
for kind in shared static; do
  libraries=${!kind}
  for name in generate many; do
    $cxx -std=c++20 $strict $cflags "$examples/$name.cc" $libraries \
      -o "$work/pkgconfig_${kind}_$name"
    run $name "$work/pkgconfig_${kind}_$name"
  done
  $cc -std=c99 $strict $cflags "$examples/generate.c" $libraries \
    -o "$work/pkgconfig_${kind}_c"
  run c "$work/pkgconfig_${kind}_c"
done
if ldd "$work/pkgconfig_static_c" | grep libropewalk; then
  fail "the static program wants the shared library"
fi
echo "$(wc -l <"$work/symbols") symbols are exported, all of the API"
