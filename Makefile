# Ropewalk: what people type. CMake does the building, CMakePresets.json holds
# its settings; `make help` lists the targets.

# build/ is configured without tests until something asks for them, and keeps
# them from then on, so no two targets configure it back and forth.
BUILD := build
ASAN  := build-asan
TSAN  := build-tsan
NEON  := build-neon
FUZZ  := build-fuzz
LINT  := build-lint
PYTHON_BUILD := build-python

JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local

# Models and texts that are not part of this repository. Tests that want them
# skip without them.
TEST_DATA ?= $(or $(ROPEWALK_TEST_DATA),$(wildcard ../shared/data))
export ROPEWALK_TEST_DATA := $(abspath $(TEST_DATA))

# `make demo MODEL=model.gguf TEXT=book.txt`; the models of tools/get_model.py
# by name.
FETCHED := smollm2 gemma3
MODEL ?=
TEXT  ?=

# `make fuzz TARGET=gguf SECONDS=600`: one target of fuzz/, or all of them, each
# for so long.
TARGET  ?=
SECONDS ?= 60

# `make test LAB=OFF` leaves the training wing out, and LibTorch with it.
LAB ?= ON

# Debian package names.
RUNTIME_PACKAGES := g++ cmake ninja-build pkg-config libhwy-dev libcli11-dev \
  nlohmann-json3-dev libtomlplusplus-dev libonig-dev libutf8proc-dev libcpp-httplib-dev \
  zlib1g-dev
LAB_PACKAGES   := $(RUNTIME_PACKAGES) libtorch-dev libgloo-dev \
  libopenblas0-openmp dataset-fashion-mnist
TEST_PACKAGES  := $(RUNTIME_PACKAGES) libgtest-dev libgmock-dev \
  python3 $(if $(filter ON,$(LAB)),$(LAB_PACKAGES) bible-kjv bible-kjv-text)
BENCH_PACKAGES := $(RUNTIME_PACKAGES) libbenchmark-dev libopenblas-openmp-dev \
  $(if $(filter ON,$(LAB)),$(LAB_PACKAGES))
PYTHON_PACKAGES := $(RUNTIME_PACKAGES) python3-dev python3-venv
DEV_PACKAGES   := $(TEST_PACKAGES) clang-format clang-tidy
FUZZ_PACKAGES  := $(RUNTIME_PACKAGES) clang libclang-rt-14-dev llvm
NEON_PACKAGES  := cmake ninja-build pkg-config libcli11-dev nlohmann-json3-dev \
  python3 g++-aarch64-linux-gnu qemu-user-static $(addsuffix :arm64,libhwy-dev \
  libtomlplusplus-dev libonig-dev libutf8proc-dev zlib1g-dev libgtest-dev \
  libgmock-dev)

.DEFAULT_GOAL := runtime
.NOTPARALLEL:
.PHONY: help runtime lab build demo test test-quick test-isas python-test \
  bench format format-check lint asan tsan neon fuzz deps-runtime deps-test \
  deps-bench deps-demo deps-lab deps-dev deps-neon deps-fuzz deps-python \
  install package clean

help:
	@echo 'make                build the program: $(BUILD)/bin/ropewalk'
	@echo 'make runtime        the same; make build: this and the lab'
	@echo 'make lab            the training wing: $(BUILD)/bin/ropewalk-lab and the'
	@echo '                    operators for PyTorch, libropewalk_torch.so'
	@echo 'make demo           build, then run it; MODEL= and TEXT= for your own;'
	@echo '                    MODEL=smollm2 or gemma3 fetches that model first'
	@echo 'make test           build and run the tests; lists what was skipped'
	@echo 'make test-quick     those that take no minute each'
	@echo 'make test-isas      the numeric tests on each instruction set there is'
	@echo 'make python-test    the Python package from its source distribution, and its'
	@echo '                    tests; what they need comes from PyPI; TORCH=ON adds PyTorch,'
	@echo '                    ENGINE=FOLDER takes the engine that is built there'
	@echo 'make bench          build and run bench/; BENCH=NAME for one of them'
	@echo 'make asan           the tests under AddressSanitizer and UBSan'
	@echo 'make tsan           the tests under ThreadSanitizer'
	@echo 'make neon           the kernels built for 64-bit ARM and tested in an emulator'
	@echo 'make fuzz           every parser on mutated files, a minute each;'
	@echo '                    SECONDS=600 for longer, TARGET=gguf for one'
	@echo 'make lint           clang-tidy over src/; FILES="..." for some of it'
	@echo 'make format         clang-format everything; format-check only looks'
	@echo 'make install        program, library, headers and models, stripped, to'
	@echo '                    PREFIX=$(PREFIX) (DESTDIR= is honoured)'
	@echo 'make package        a .deb and an archive of the same in $(BUILD)/'
	@echo 'make clean          remove $(BUILD)/, $(ASAN)/, $(TSAN)/, $(NEON)/, $(FUZZ)/,'
	@echo '                    $(LINT)/, $(PYTHON_BUILD)/'
	@echo 'make deps-runtime   install what it takes on Debian; also deps-test,'
	@echo '                    deps-bench, deps-demo, deps-dev, deps-lab, deps-neon,'
	@echo '                    deps-fuzz, deps-python'
	@echo 'LAB=OFF             tests and benchmarks without the lab and LibTorch'
	@echo 'JOBS=$(JOBS)  TEST_DATA=$(or $(TEST_DATA),(none))'

# $(call configure,FOLDER,PRESET,OPTIONS,DEPS): configures FOLDER by PRESET
# where that was never done, and turns those of OPTIONS on that are off.
define configure
@if ! test -f $(1)/build.ninja && ! test -f $(1)/Makefile; then \
  cmake --preset $(2) $(foreach option,$(3),-D$(option)=ON); \
else \
  off=; \
  for option in $(3); do \
    grep -q "^$$option:BOOL=ON$$" $(1)/CMakeCache.txt || off="$$off -D$$option=ON"; \
  done; \
  test -z "$$off" || cmake $(1) $$off; \
fi || { echo 'cmake failed; `make $(4)` installs what this needs' >&2; exit 1; }
endef

LAB_OPTION = $(if $(filter ON,$(LAB)),ROPEWALK_LAB)

runtime:
	$(call configure,$(BUILD),runtime,,deps-runtime)
	cmake --build $(BUILD) --target ropewalk -j $(JOBS)

lab:
	$(call configure,$(BUILD),runtime,ROPEWALK_LAB,deps-lab)
	cmake --build $(BUILD) --target ropewalk ropewalk-lab ropewalk_torch -j $(JOBS)

build: runtime lab

demo: runtime
ifneq ($(filter $(FETCHED),$(MODEL)),)
	@model=$$(python3 tools/get_model.py $(MODEL)) || exit 1; \
	echo "$(BUILD)/bin/ropewalk demo -m '$$model'" $(if $(TEXT),"-t '$(TEXT)'"); \
	exec $(BUILD)/bin/ropewalk demo -m "$$model" $(if $(TEXT),-t '$(TEXT)')
else
	$(BUILD)/bin/ropewalk demo $(if $(MODEL),-m '$(MODEL)') $(if $(TEXT),-t '$(TEXT)')
endif

# Prints the name and the reason of every skipped test in a log of ctest.
define list_skipped
awk '/^skipped [a-z]+: / { \
       if (!count++) print "\nSkipped:"; \
       print "  " substr($$0, 9) } \
     /: Skipped$$/ { reason = ""; inside = 1; next } \
     /^\[  SKIPPED \] / && inside { \
       inside = 0; \
       if (!count++) print "\nSkipped:"; \
       print "  " $$4 ": " reason } \
     inside && NF { reason = reason (reason == "" ? "" : " ") $$0 } \
     END { if (!count) print "\nNo test was skipped." }' \
  $(1)/Testing/Temporary/LastTest.log
endef

# $(call run_tests,FOLDER,REGEX,LABEL): the tests of FOLDER, those of REGEX
# alone where it is given, and none of LABEL.
run_tests = @status=0; \
  ctest --test-dir $(1) $(if $(2),-R '$(2)') $(if $(3),-LE '$(3)') --output-on-failure -j $(JOBS) || \
    status=$$?; \
  $(call list_skipped,$(1)); \
  exit $$status

test:
	$(call configure,$(BUILD),release,ROPEWALK_TESTS $(LAB_OPTION),deps-test)
	cmake --build $(BUILD) -j $(JOBS)
	$(call run_tests,$(BUILD))

test-quick:
	$(call configure,$(BUILD),release,ROPEWALK_TESTS $(LAB_OPTION),deps-test)
	cmake --build $(BUILD) -j $(JOBS)
	$(call run_tests,$(BUILD),,slow)

test-isas:
	$(call configure,$(BUILD),release,ROPEWALK_TESTS $(LAB_OPTION),deps-test)
	cmake --build $(BUILD) -j $(JOBS)
	tools/test_isas.sh $(BUILD) -j $(JOBS)

# Status 77: skipped, and a line said why.
python-test:
	@JOBS=$(JOBS) python/run_tests.sh $(if $(filter ON,$(TORCH)),--torch) \
	  $(if $(ENGINE),--engine $(ENGINE)) || \
	  test $$? = 77

asan:
	$(call configure,$(ASAN),asan,ROPEWALK_TESTS,deps-test)
	cmake --build $(ASAN) -j $(JOBS)
	$(call run_tests,$(ASAN))

tsan:
	$(call configure,$(TSAN),tsan,ROPEWALK_TESTS,deps-test)
	cmake --build $(TSAN) -j $(JOBS)
	$(call run_tests,$(TSAN))

# Up to attention, the last folder that knows how wide a vector is; an emulator
# is slow.
neon:
	@for program in aarch64-linux-gnu-g++ qemu-aarch64-static; do \
	  command -v $$program >/dev/null || { \
	    echo "neon: no $$program; \`make deps-neon\` installs it" >&2; exit 1; }; \
	done
	$(call configure,$(NEON),neon,ROPEWALK_TESTS,deps-neon)
	cmake --build $(NEON) -j $(JOBS) \
	  --target base_test position_test kernels_test \
	  attention_definition_test attention_serving_test attention_training_test
	$(call run_tests,$(NEON),^(base|position|kernels|attention_.*)_test)

# docs/reliability.md tells what the targets are and how a finding is looked at.
fuzz:
	@command -v clang++ >/dev/null || { \
	  echo 'fuzz: no clang++; `make deps-fuzz` installs it' >&2; exit 1; }
	$(call configure,$(FUZZ),fuzz,ROPEWALK_FUZZ,deps-fuzz)
	cmake --build $(FUZZ) --target $(if $(TARGET),fuzz_$(TARGET),fuzzers) -j $(JOBS)
	fuzz/run.sh $(FUZZ) $(SECONDS) $(JOBS) $(TARGET)

bench:
	$(call configure,$(BUILD),runtime,ROPEWALK_BENCH $(LAB_OPTION),deps-bench)
	cmake --build $(BUILD) --target benches -j $(JOBS)
	@found=; for program in $(BUILD)/bench/$(or $(BENCH),*); do \
	  test -x "$$program" || continue; \
	  found=1; echo "== $$program"; "$$program" || exit 1; \
	done; \
	test -n "$$found" || { echo 'bench: no such program in bench/' >&2; exit 1; }

SOURCES = find include src python tests bench examples fuzz \
  \( -name '*.h' -o -name '*.cc' -o -name '*.c' \) 2>/dev/null

format:
	@command -v clang-format >/dev/null || { \
	  echo 'format: no clang-format; `make deps-dev` installs it' >&2; exit 1; }
	$(SOURCES) | xargs clang-format -i

format-check:
	@command -v clang-format >/dev/null || { \
	  echo 'format-check: no clang-format; `make deps-dev` installs it' >&2; exit 1; }
	@$(SOURCES) | xargs clang-format --dry-run -Werror || { \
	  echo 'format-check: run `make format`' >&2; exit 1; }

lint:
	@command -v clang-tidy >/dev/null || { \
	  echo 'lint: no clang-tidy; `make deps-dev` installs it' >&2; exit 1; }
	$(call configure,$(LINT),lint,ROPEWALK_TESTS $(LAB_OPTION),deps-test)
	@$(if $(FILES),printf '%s\n' $(FILES),find src -name '*.cc') | \
	  xargs -P $(JOBS) -n 1 sh -c 'out=$$(clang-tidy -p $(LINT) --quiet "$$0" 2>&1) || \
	    { printf "%s\n" "$$out" | grep -v "warnings generated"; exit 1; }'

# $(call need,PACKAGES,ARCHITECTURE): nothing where all are installed; else
# installs them as root or through sudo, or says how. Lists are fetched only
# when apt-get cannot do without. Elsewhere than on Debian it only says what is
# needed. ARCHITECTURE is that of the packages that are not for this machine.
define need
@if ! command -v dpkg >/dev/null || ! command -v apt-get >/dev/null; then \
  echo 'not a Debian system; what this needs is called there:'; \
  echo '  $(strip $(1))'; \
  exit 0; \
fi; \
missing=; \
ours="all|$$(dpkg --print-architecture)$(if $(2),|$(2))"; \
for package in $(1); do \
  dpkg-query -W -f '$${Architecture} $${Status}\n' "$$package" 2>/dev/null | \
    grep -Eq "^($$ours) .* installed$$" || missing="$$missing $$package"; \
done; \
test -n "$$missing" || exit 0; \
line="apt-get install -y --no-install-recommends$$missing"; \
root="as root: $(if $(2),dpkg --add-architecture $(2); apt-get update; )$$line"; \
if test "$$(id -u)" = 0; then as=; \
elif command -v sudo >/dev/null; then as=sudo; \
else echo "missing packages; $$root" >&2; exit 1; \
fi; \
as="$$as env DEBIAN_FRONTEND=noninteractive"; \
$(if $(2),$$as dpkg --add-architecture $(2) || exit 1;) \
apt-get -s install $$missing >/dev/null 2>&1 || $$as apt-get update; \
$$as $$line </dev/null || { $$as apt-get update && $$as $$line </dev/null; } || \
  { echo "could not install; $$root" >&2; exit 1; }
endef

deps-runtime:
	$(call need,$(RUNTIME_PACKAGES))

deps-test:
	$(call need,$(TEST_PACKAGES))

deps-bench:
	$(call need,$(BENCH_PACKAGES))

# The Bible only where the demo is given no other text, pip only where a model
# is to be fetched and no pip of another origin is there.
PIP = $(if $(filter $(FETCHED),$(MODEL)),$(if \
  $(shell python3 -m pip --version 2>/dev/null),,python3 python3-pip))

deps-demo:
	$(call need,$(RUNTIME_PACKAGES) $(if $(TEXT),,bible-kjv bible-kjv-text) $(PIP))

deps-dev:
	$(call need,$(DEV_PACKAGES))

deps-lab:
	$(call need,$(LAB_PACKAGES))

deps-fuzz:
	$(call need,$(FUZZ_PACKAGES))

deps-python:
	$(call need,$(PYTHON_PACKAGES))

deps-neon:
	$(call need,$(NEON_PACKAGES),arm64)

# The program and the library; of the lab what `make lab` has built.
install: runtime
	cmake --build $(BUILD) --target ropewalk_shared ropewalk_static written \
	  -j $(JOBS)
	cmake --install $(BUILD) --prefix '$(PREFIX)' --strip

# $(BUILD)/ropewalk_VERSION_ARCH.deb and ropewalk-VERSION-Linux.tar.gz, which
# can be unpacked anywhere.
package: runtime
	cmake --build $(BUILD) --target ropewalk_shared ropewalk_static written \
	  -j $(JOBS)
	cd $(BUILD) && cpack

clean:
	rm -rf $(BUILD) $(ASAN) $(TSAN) $(NEON) $(FUZZ) $(LINT) $(PYTHON_BUILD)
