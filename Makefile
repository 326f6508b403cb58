# Thin: each target is one or two commands. `make help` lists them.
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ballast
# Which kernel: ours, or debian for its cloud kernel; each has a folder of its own.
KERNEL := ballast
OUT := $(if $(filter ballast,$(KERNEL)),target,target/$(KERNEL))
# Scripts sort and join: in one order on any host.
export LC_ALL := C.UTF-8
# What qemu-tests boots, and with which programs.
export BALLAST_TARGET := $(CURDIR)/$(OUT)
export BALLAST_TOOLS := $(CURDIR)/target/tools
export BALLAST_CONTROL_PLANE := $(CURDIR)/target/control-plane
BUILD := target/x86_64-unknown-linux-gnu/release
CARGO := cargo --locked
# What cargo compiles on the way: dependencies do not differ from clone to clone, so they are compiled once. Programs come to target/ all the same.
# A cargo before 1.91 does not know this and compiles them anew.
export CARGO_BUILD_BUILD_DIR := $(CACHE)/cargo/dev
# What tests are built with: unit, budget and vm ask for the same, so that each crate is built once, not once for each set of features.
TESTS := --workspace --features ballast-proxy/registry,qemu-tests/registry
# Programs of the image: the same sources give the same bytes, in whatever folder they lie. The checkout's own path is left to a wrapper
# of the workspace's crates, so that it is no reason to compile the others again.
REMAP := --remap-path-prefix=$(CACHE)/cargo=/build --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
# Less to read, hash and walk at each start: the agent's 7,000 relocations take 5 KB in place of 170.
LEAN := -C link-arg=-Wl,-z,pack-relative-relocs
RELEASE := --release --target x86_64-unknown-linux-gnu
OURS := RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/image/setup/rustc CARGO_BUILD_BUILD_DIR=$(CACHE)/cargo/release
MKOSI = target/mkosi --tools-tree=target/tools --package-cache-dir=$(CACHE)/packages --workspace-dir=$(CACHE)/work \
	--extra-tree=$(OUT)/stage/kernel --extra-tree=target/keys:/usr/lib/ballast/keys --environment=KERNEL=$(OUT)/stage/kernel --output-directory=$(OUT)/image
# What the image is made from, and the folders, whose time stamps show removed files; tests and texts do not change it.
SOURCES := $(shell git ls-files -co --exclude-standard -- Makefile mkosi.conf image initramfs node-agent Cargo.toml Cargo.lock .cargo | grep -vE '\.md$$|/tests/' | xargs ls -dL 2>/dev/null)

.PHONY: cli help run test checks image image-4k release kubelet-image toolbox sign setup set-up programs rust kernel control-plane why docs reproduce bench budget fmt lint unit vm fuzz soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: image ## build the OS, boot it through UEFI to READY, print the node's status
	@$(CARGO) run -q -p qemu-tests -- run

test: setup ## all that CI runs
# Side by side: each keeps only one CPU busy most of the time. Without a cache the kernel takes longest.
	@$(MAKE) --no-print-directory -j3 checks reproduce control-plane
# One after the other: beside something else a counted boot waits longer, and its timers count.
	@$(MAKE) --no-print-directory -j1 budget vm

checks: setup ## lint, unit, one after the other
	@$(MAKE) --no-print-directory -j1 lint unit

image: setup $(OUT)/image/manifest.json ## the OS: disk, release, manifest, SBOM in target/image (RELEASE_KEY=FILE.pub: nodes want releases signed by it; KERNEL=debian: Debian's kernel, target/debian/image)

image-4k: image ## the same disk for drives with sectors of 4096 bytes: target/image/ballast-4k.raw
	@image/disk/4k target/tools $(OUT)/image/ballast.raw $(OUT)/image/ballast-4k.raw

release: image ## push the release: REGISTRY=HOST/PATH[:TAG], signed: KEY=FILE [PASSPHRASE_FILE=FILE]
	@image/release/push target/tools $(OUT)/image "$(REGISTRY)" "$(KEY)" "$(PASSPHRASE_FILE)"

kubelet-image: setup ## push a kubelet for nodes, signed: KUBELET=FILE VERSION=1.33.0 REGISTRY=HOST/PATH[:TAG] KEY=FILE [PASSPHRASE_FILE=FILE]
	@image/release/kubelet target/tools "$(KUBELET)" "$(VERSION)" "$(REGISTRY)" "$(KEY)" "$(PASSPHRASE_FILE)"

toolbox: setup ## build and push the toolbox of ballast shell, signed: REGISTRY=HOST/PATH[:TAG] KEY=FILE [PASSPHRASE_FILE=FILE]
# Its own folder as the working directory: the checkout's mkosi.conf is the image's.
	@cd image/toolbox && $(CURDIR)/target/mkosi --tools-tree=$(CURDIR)/target/tools --sandbox-tree=$(CURDIR)/target/setup \
		--package-cache-dir=$(CACHE)/packages --workspace-dir=$(CACHE)/work --output-directory=$(CURDIR)/target/toolbox --force build
	@image/release/toolbox target/tools target/toolbox/toolbox "$(REGISTRY)" "$(KEY)" "$(PASSPHRASE_FILE)"

sign: setup ## sign a release in a registry anew, or with another key: REGISTRY=HOST/PATH:TAG@sha256:DIGEST KEY=FILE [PASSPHRASE_FILE=FILE]
	@image/release/sign target/tools "$(REGISTRY)" "$(KEY)" "$(PASSPHRASE_FILE)"

$(OUT)/image/manifest.json: $(wildcard target/keys target/prior.json) $(SOURCES) $(filter-out ./,$(sort $(dir $(SOURCES))))
	@$(MAKE) --no-print-directory programs
	@echo "image: building (the log is $(OUT)/image.log)"
	@set -o pipefail; $(MKOSI) --cache-dir=$(CACHE)/mkosi --force build 2>&1 | tee $(OUT)/image.log | \
		sed -nuE '/^‣ +(Installing|Running)|^(seal|image): /p' || { tail -n 40 $(OUT)/image.log; exit 1; }
	@touch $@

setup: ## install what is missing, get mkosi, build the tools tree once
	@mkdir -p $(CACHE)/{packages,mkosi,work} target
# Once, before anything compiles.
	@[ $(MAKELEVEL) != 0 ] || image/setup/compiled $(CACHE)/cargo
# One at a time: under -j a target and what it is made of may both ask for it.
	@flock target/setup.lock $(MAKE) --no-print-directory set-up

set-up:
	@image/setup/host
	@image/setup/apt target/setup && image/setup/mkosi target/setup $(CACHE) target/mkosi
	@image/setup/tools target/mkosi target/setup $(CACHE) target/tools
	@image/release/keys "$(RELEASE_KEY)" target/keys
	@$(if $(PRIOR),cmp -s $(PRIOR) target/prior.json || cp $(PRIOR) target/prior.json)

programs: rust kernel ## what is built for the image, staged under target/stage

rust: setup ## what Rust builds for the image
# The agent by itself: built with the others it would get the features that they want of the crates they share.
	@$(OURS) RUSTFLAGS="$(REMAP) $(LEAN)" $(CARGO) build $(RELEASE) -p ballast --bin ballast
	@$(OURS) RUSTFLAGS="$(REMAP) $(LEAN)" $(CARGO) build $(RELEASE) -p ballast-ostree -p ballast-proxy -p ballast-artifacts -p ballast-oci
	@$(OURS) CARGO_BUILD_BUILD_DIR=$(CACHE)/cargo/static RUSTFLAGS="$(REMAP) -C target-feature=+crt-static" $(CARGO) build $(RELEASE) -p ballast-initramfs -p ballast-pods -p ballast-why --target-dir target/static
	@image/setup/stage $(BUILD) target/static/x86_64-unknown-linux-gnu/release target/stage
	@image/lean/build target/mkosi target/setup $(CACHE) target/stage/lean

kernel: setup ## the kernel, built once for each source, configuration and compiler
	@env -u MAKEFLAGS nice image/kernel/$(KERNEL) target/setup $(CACHE) $(OUT)/stage/kernel

control-plane: setup ## the Kubernetes that clusters are tested against, built once: kube-apiserver and its helpers, kubelet, agnhost, etcd, kubectl
	@env -u MAKEFLAGS nice qemu-tests/control-plane/build target/setup $(CACHE) target/control-plane

cli: ## ballast for workstations, without the agent: target/cli/ballast, one static file
	@CARGO_BUILD_BUILD_DIR=$(CACHE)/cargo/cli RUSTFLAGS="$(REMAP) -C target-feature=+crt-static" \
		$(CARGO) build $(RELEASE) -p ballast --bin ballast-cli --target-dir target/static
	@install -D -m 0755 target/static/x86_64-unknown-linux-gnu/release/ballast-cli target/cli/ballast
	@! ldd target/cli/ballast 2>/dev/null | grep '=>' || { echo 'cli: target/cli/ballast is not static'; exit 1; }
	@test $$(stat --format=%s target/cli/ballast) -lt 8000000 || { echo 'cli: target/cli/ballast is not smaller than 8 MB'; exit 1; }

why: ## why is FILE in the image? (make why FILE=/usr/bin/ip)
	@$(CARGO) run -q -p ballast-why -- file target/image $(FILE)

docs: ## the manual, man pages and shell completions of ballast, in target/docs
	@$(CARGO) run -q -p ballast --example docs -- target/docs
	@image/setup/mdbook $(CACHE) build docs

reproduce: image ## build the commit a second time, from nothing, and compare checksums
	@image/release/reproduce $(MKOSI)

budget: image ## what the image costs, beside qemu-tests/bench/budget.toml: instructions, packages, bytes, memory
# The program comes with the tests of the harness, built with their features.
	@$(CARGO) test -q $(TESTS) --test harness --no-run && target/debug/qemu-tests budget

bench: image ## the figures of the README: target/bench/boot.json and boot.svg (QUICK=1 for two rounds)
	@$(CARGO) run -q -p qemu-tests --release -- bench

fuzz: ## the settings' parsers on any bytes, each for SECONDS=600
	@node-agent/settings/fuzz/run $(or $(SECONDS),600)

fmt: ## format the sources
	@cargo fmt --all

lint: setup ## formatting, clippy, the fuzz targets, licences and sources of the dependencies
	@cargo fmt --all --check
	@$(CARGO) clippy -q --workspace --all-targets --all-features -- -D warnings
# A workspace of its own, which the others do not compile.
	@node-agent/settings/fuzz/run check
	@image/setup/cargo-deny $(CACHE) -L error --locked --offline check bans licenses sources

unit: setup ## unit tests, flows over fakes, the image proxy and the tests' own registry; boots nothing
	@$(CARGO) test -q $(TESTS)

vm: image control-plane ## the scenarios: the real image in QEMU (KERNEL=debian: with Debian's kernel, but those about ours)
	@rm -rf $(OUT)/qemu-tests/snapshots
	@$(CARGO) test $(TESTS),qemu-tests/vm --test control-plane --test scenarios -- --test-threads=3 $(if $(filter ballast,$(KERNEL)),,--skip kernel::)

soak: image control-plane ## scenarios that make test has no time for: other ways to fail, full disks, ten thousand crash states
	@rm -rf $(OUT)/qemu-tests/snapshots $(OUT)/bench/powercut.json
	@$(CARGO) test $(TESTS),qemu-tests/soak --test scenarios -- --test-threads=3 --nocapture soak::

clean: ## remove target/ (the cache outside the checkout stays)
	@rm -rf target
