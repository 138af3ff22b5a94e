# fnrun: AWS Lambda on your own Linux machine. `make help` lists the targets.

PREFIX ?= /usr
BUILD ?= build
CC ?= gcc

WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wundef -Wswitch-enum -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -isystem /usr/include/libnl3 $(WARNINGS) $(CFLAGS) -MMD -MP
HARDEN = -D_FORTIFY_SOURCE=2 -fPIE -fstack-protector-strong
LINK = -pie -Wl,-z,relro,-z,now,--as-needed
ifdef WERROR
ALL_CFLAGS += -Werror
endif
ifdef SANITIZE
BUILD := $(BUILD)/sanitize
HARDEN = -fPIE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LINK += -fsanitize=address,undefined
INIT_SANITIZE = -fsanitize=undefined -fsanitize-undefined-trap-on-error
endif

BASE_SRC := $(wildcard sandbox/base/*.c)
INIT_SRC := sandbox/init.c sandbox/init_runtime.c
THAW_SRC := $(wildcard sandbox/thaw*.c)
BARE_SRC := sandbox/init_sys.c sandbox/init_drop.c # both of them
WARDEN_SRC := $(filter-out $(INIT_SRC) $(THAW_SRC) $(BARE_SRC),$(wildcard sandbox/*.c)) $(wildcard rootfs/*.c) $(BASE_SRC)
MANAGER_SRC := $(wildcard manager/*.c) $(BASE_SRC)
CLI_SRC := $(wildcard tools/*.c) $(BASE_SRC)

WARDEN_LIBS = -lseccomp -lcap -lnl-route-3 -lnl-3 -lprotobuf-c
MANAGER_LIBS = -lmicrohttpd -lcjson -lsqlite3 -lzip -lcrypto -lz -lexpat
CLI_LIBS = -lcurl -lcjson -lzip

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PROGRAMS = $(addprefix $(BUILD)/,fnrun fnrun-warden fnrund fnrun-init fnrun-thaw)
TEST_PROGRAMS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))

.PHONY: help all deps demo check unit vm lint bench install uninstall clean images runtimes
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "  SANITIZE=1 builds and checks with ASan and UBSan"

all: $(PROGRAMS) $(BUILD)/criu-preload.so runtimes ## build everything into build/

$(BUILD)/fnrun: $(call objects,$(CLI_SRC))
	$(CC) $(LINK) -o $@ $^ $(CLI_LIBS)

$(BUILD)/fnrun-warden: $(call objects,$(WARDEN_SRC)) $(BUILD)/obj/criu.pb-c.o $(BUILD)/obj/criu_images.pb-c.o
	$(CC) $(LINK) -o $@ $^ $(WARDEN_LIBS)

$(BUILD)/fnrund: $(call objects,$(MANAGER_SRC))
	$(CC) $(LINK) -o $@ $^ $(MANAGER_LIBS)

# PID 1 of every sandbox: static and without a C library (sandbox/init_sys.h says why). A sanitizer can only trap there.
$(BUILD)/fnrun-init: $(patsubst %.c,$(BUILD)/init/%.o,$(INIT_SRC) $(BARE_SRC))
	$(CC) -static -nostdlib -Wl,-z,noexecstack -o $@ $^

# Templates: the same, at an address that is nobody else's (sandbox/thaw_plan.h, THAW_BASE).
$(BUILD)/fnrun-thaw: $(patsubst %.c,$(BUILD)/init/%.o,$(THAW_SRC) $(BARE_SRC))
	$(CC) -static -nostdlib -Wl,-z,noexecstack -Wl,-Ttext-segment=0x100000000000 -Wl,-z,max-page-size=4096 -o $@ $^

# Runs in CRIU, whose C library is another Debian's.
$(BUILD)/criu-preload.so: sandbox/preload/getsockopt.c
	@mkdir -p $(dir $@)
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARNINGS) -O2 -fPIC -shared -Wl,-z,noexecstack -o $@ $<

# CRIU's messages and images.
$(BUILD)/gen/%.pb-c.c: sandbox/%.proto
	@mkdir -p $(dir $@)
	protoc-c --proto_path=sandbox --c_out=$(dir $@) $<

$(BUILD)/obj/%.pb-c.o: $(BUILD)/gen/%.pb-c.c
	@mkdir -p $(dir $@)
	$(CC) $(ALL_CFLAGS) $(HARDEN) -c -o $@ $<

CRIU_USERS := $(addprefix $(BUILD)/obj/sandbox/,criu.o forget.o compile.o compile_memory.o compile_files.o compile_threads.o)
$(CRIU_USERS): ALL_CFLAGS += -I$(BUILD)/gen
$(CRIU_USERS): $(BUILD)/gen/criu.pb-c.c $(BUILD)/gen/criu_images.pb-c.c

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(ALL_CFLAGS) $(HARDEN) -c -o $@ $<

$(BUILD)/init/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(ALL_CFLAGS) -ffreestanding -fno-stack-protector -fpie $(INIT_SANITIZE) -c -o $@ $<

# What stands beside the binaries when installed: the bootstraps and the image recipes.
runtimes:
	@mkdir -p $(BUILD)/runtimes
	@rm -rf $(BUILD)/runtimes/python $(BUILD)/runtimes/node $(BUILD)/images
	@cp -r rootfs/python rootfs/node $(BUILD)/runtimes/
	@rm $(BUILD)/runtimes/node/native.c
	@$(CC) -std=gnu17 -O2 -Wall -Wextra -fPIC -shared -Wl,-z,noexecstack -o $(BUILD)/runtimes/node/native.node rootfs/node/native.c
	@cp -r images $(BUILD)/images
	@chmod -R a+rX $(BUILD)/runtimes $(BUILD)/images
	@tools/dev/precompile $(BUILD)/runtimes/python

# The program that system tests run inside of sandboxes: tests/probe/probe.h.
$(BUILD)/tests/probe: $(patsubst %.c,$(BUILD)/probe/%.o,$(wildcard tests/probe/*.c) sandbox/base/buf.c sandbox/base/err.c)
	@mkdir -p $(dir $@)
	$(CC) -static -o $@ $^

$(BUILD)/probe/%.o: %.c
	@mkdir -p $(dir $@)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# A unit test's first line, `// links: a.c b.c -lfoo`, names what it is linked with, from the top of the tree.
unit_links = $(shell sed -n '1s,^// links: *,,p' $(1))
define unit_rule
$(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(1)): $(call objects,$(1) $(filter %.c,$(call unit_links,$(1))))
	@mkdir -p $$(dir $$@)
	$$(CC) $$(LINK) -o $$@ $$^ $(filter -l%,$(call unit_links,$(1)))
endef
$(foreach t,$(wildcard tests/unit/test_*.c),$(eval $(call unit_rule,$(t))))

deps: ## install the Debian packages that building, running and testing need
	@tools/dev/deps build run test

images: runtimes ## build the language images (once; kept in /var/lib/fnrun/images)
	@$(BUILD)/images/image build --all

unit: $(TEST_PROGRAMS) ## run the unit tests
	@tools/dev/check --unit --build $(BUILD)

# The packages come first, also with -j.
check: ## run all tests; installs what they need
	@tools/dev/deps build run test
	@$(MAKE) all images $(TEST_PROGRAMS) $(BUILD)/tests/probe
	@tools/dev/check --build $(BUILD)

vm: images ## run a smoke test on Debian 13 with systemd, in a virtual machine (tests/vm/run)
	@tools/dev/deps vm
	@tests/vm/run

demo: ## show it all on this machine: packages, build, images, functions cold and warm
	@tools/dev/demo

lint: all ## check style, sizes, include direction, and what each program links
	@BUILD=$(BUILD) tools/dev/lint

bench: ## measure starts and calls beside what they are compared to; installs what it needs
	@tools/dev/deps build run bench
	@$(MAKE) all images
	@tools/dev/examples numpy-python aws-sdk-node
	@FNRUN_BUILD=$(BUILD) tools/dev/bench

LIBEXEC = $(DESTDIR)$(PREFIX)/libexec/fnrun

install: all ## install under PREFIX (default /usr)
	install -D -m 755 $(BUILD)/fnrun $(DESTDIR)$(PREFIX)/bin/fnrun
	install -d -m 755 $(LIBEXEC)
	install -m 755 $(BUILD)/fnrun-warden $(BUILD)/fnrund $(BUILD)/fnrun-init $(BUILD)/fnrun-thaw $(LIBEXEC)/
	install -m 644 $(BUILD)/criu-preload.so $(LIBEXEC)/
	cp -r $(BUILD)/runtimes $(BUILD)/images $(LIBEXEC)/
	install -D -m 644 tools/man/fnrun.1 $(DESTDIR)$(PREFIX)/share/man/man1/fnrun.1

uninstall: ## remove what install put there; functions and images stay
	rm -rf $(DESTDIR)$(PREFIX)/bin/fnrun $(LIBEXEC) $(DESTDIR)$(PREFIX)/share/man/man1/fnrun.1

clean: ## remove what was built
	rm -rf build

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
