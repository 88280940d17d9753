# The front door. CMake does the work; `make help` lists what there is.
PREFIX    ?= /usr/local
BUILD     ?= build
JOBS      ?= $(shell nproc 2>/dev/null || echo 2)
CLANG     ?= $(or $(shell command -v clang || command -v clang-14),clang)
FUZZ_TIME ?= 60
GENERATOR := $(if $(shell command -v ninja),-G Ninja)

all:            ## build the libraries and the command (the default)
	@sh tools/deps.sh check
	@test -f $(BUILD)/CMakeCache.txt || cmake --preset release $(GENERATOR) -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	@cmake --build $(BUILD) -j $(JOBS)

deps:           ## install the packages that the build needs (Debian, Ubuntu)
	@sh tools/deps.sh install
demo: all       ## chat with a small model, search real sentences with a real checkpoint
	@BUILD=$(BUILD) sh tools/demo.sh
test: all       ## build, then run every test; the last line counts them
	@sh tools/test.sh $(BUILD) $(JOBS)
bench: all      ## speed against the physical limit and, where installed, against other engines
	@BUILD=$(BUILD) sh tools/bench.sh
install: all    ## install below PREFIX, staged into DESTDIR
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

debug asan ubsan tsan: ## the tests in a build with assertions, or with that sanitizer
	@sh tools/deps.sh check
	@test -f build-$@/CMakeCache.txt || cmake --preset $@ $(GENERATOR)
	@cmake --build build-$@ -j $(JOBS)
	@sh tools/test.sh build-$@ $(JOBS)
fuzz:           ## each fuzz target for FUZZ_TIME seconds (clang)
	@test -f build-fuzz/CMakeCache.txt || cmake --preset fuzz $(GENERATOR) -DCMAKE_C_COMPILER=$(CLANG)
	@cmake --build build-fuzz -j $(JOBS)
	@sh tools/fuzz.sh build-fuzz $(FUZZ_TIME)

format:         ## clang-format over the tree
	@sh tools/format.sh
bless-symbols: all ## rewrite the list of exported names
	@cmake --build $(BUILD) --target bless-symbols
ops-page: all   ## rewrite docs/ops.md: which op takes which dtype, and how
	@cmake --build $(BUILD) --target ops-page
clean:          ## remove every build
	rm -rf build build-*
help:           ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1	\2/p' Makefile | expand -t 24

.PHONY: all deps demo test bench install debug asan ubsan tsan fuzz format bless-symbols ops-page clean help
