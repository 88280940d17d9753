# The front door. CMake does the work; `make help` lists what there is.
PREFIX    ?= /usr/local
BUILD     ?= build
JOBS      ?= $(shell nproc 2>/dev/null || echo 2)
CLANG     ?= $(or $(shell command -v clang || command -v clang-14),clang)
FUZZ_TIME ?= 60
GENERATOR := $(if $(shell command -v ninja),-G Ninja)

# The plugin takes longer than all else together: built when it is asked for, and from then on kept in step.
MAKE_IT := cmake --build $(BUILD) -j $(JOBS) --target
PLUGIN   = $(if $(wildcard $(BUILD)/libemily_cuda.so),emily_cuda)

all: configured ## build the libraries and the command (the default)
	@echo "$(BUILD): the libraries and the command$(if $(PLUGIN), with the cuda plugin) (make help lists what else there is)"
	@$(MAKE_IT) emily emily_shared $(PLUGIN)
cuda: configured ## build the plugin for NVIDIA GPUs (nvcc; many minutes)
	@cmake -B $(BUILD) -DEMILY_CUDA=ON >$(BUILD)/cuda.log 2>&1 || { cat $(BUILD)/cuda.log; exit 1; }
	@$(MAKE_IT) emily_cuda
	@echo "$(BUILD)/libemily_cuda.so: $(BUILD)/emily devices says whether it finds a GPU"
command: configured
	@$(MAKE_IT) emily
programs: configured
	@$(MAKE_IT) programs $(PLUGIN)
configured:
	@sh tools/deps.sh check
	@test -f $(BUILD)/CMakeCache.txt || cmake --preset release $(GENERATOR) -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX)

deps:           ## install the packages that the build needs (Debian, Ubuntu)
	@sh tools/deps.sh install
demo: command   ## chat with a small model, search real sentences with a real checkpoint
	@BUILD=$(BUILD) sh tools/demo.sh
test: programs  ## build, then run every test; the last line counts them
	@sh tools/test.sh $(BUILD) $(JOBS)
bench: programs ## speed against the physical limit and, where installed, against other engines
	@BUILD=$(BUILD) sh tools/bench.sh
install: all    ## install below PREFIX, staged into DESTDIR
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

debug asan ubsan tsan: ## the tests in a build with assertions, or with that sanitizer
	@sh tools/deps.sh check
	@test -f build-$@/CMakeCache.txt || cmake --preset $@ $(GENERATOR)
	@cmake --build build-$@ -j $(JOBS) --target programs
	@sh tools/test.sh build-$@ $(JOBS)
fuzz:           ## each fuzz target for FUZZ_TIME seconds (clang)
	@test -f build-fuzz/CMakeCache.txt || cmake --preset fuzz $(GENERATOR) -DCMAKE_C_COMPILER=$(CLANG)
	@cmake --build build-fuzz -j $(JOBS)
	@sh tools/fuzz.sh build-fuzz $(FUZZ_TIME)

format:         ## clang-format over the tree
	@sh tools/format.sh
bless-symbols: all ## rewrite the list of exported names
	@cmake --build $(BUILD) --target bless-symbols
ops-page: programs ## rewrite docs/ops.md: which op takes which dtype, and how
	@cmake --build $(BUILD) --target ops-page
clean:          ## remove every build
	rm -rf build build-*
help:           ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1	\2/p' Makefile | expand -t 24

.PHONY: all cuda command programs configured deps demo test bench install debug asan ubsan tsan fuzz format bless-symbols ops-page clean help
