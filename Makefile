SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The version is the last tag; without one, main.version stays what the source says.
VERSION := $(patsubst v%,%,$(shell git describe --tags --match 'v*' --dirty 2>/dev/null))
LDFLAGS := -s -w $(if $(VERSION),-X main.version=$(VERSION))

STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   := go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

GOTEST   ?= go test
PACKAGES := ./... ./.ci/gotest
STAGES   := ./pipeline/... ./collector/... ./sinks/... ./exporter/... ./benchmarks
BENCH    ?= .
COUNT    ?= 6
FROM     ?= 301
RESULTS  := benchmarks/results

# The packages that have tests behind the tag e2e.
E2E = $(patsubst %/,%,$(sort $(dir $(shell grep -rlE --include='*_test.go' '^//go:build (.*[^a-z0-9_])?e2e\b' .))))

.PHONY: help run build test vet unit race model e2e e2e-kube servers bench compare profile lint image install uninstall

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## watch leatd collect sample workloads (leatd demo)
	bin/leatd demo

build: ## build the static binary bin/leatd
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/leatd ./cmd/leatd

test: vet unit race ## vet, and all tests, plain and with the race detector

vet:
	go vet $(PACKAGES)

unit:
	$(GOTEST) $(PACKAGES)
	cd deploy/image && $(GOTEST) ./...

race: ## the tests with the race detector only
	$(GOTEST) -race $(PACKAGES)

model: ## thousands of random schedules of reading and of the spool, with FROM as the first seed: two minutes
	go test -count=1 -run '^TestModel$$' ./collector/tail -tail.from $(FROM) -tail.runs 2000
	go test -count=1 -run '^TestModel$$' ./pipeline/spool -spool.from $(FROM) -spool.runs 3000

e2e: servers ## the tests against real servers, which the first run builds: some minutes
	$(GOTEST) -count=1 -tags e2e -p 1 -timeout 20m $(E2E)

# Of a package that is named and passes, go test would not show why it has tested nothing.
e2e-kube: ## the chart on a real Kubernetes node (root, Debian): five minutes, the first time ten
	cd deploy/kubetest && $(GOTEST) -count=1 -tags e2ekube -timeout 30m

servers: ## build the servers for e2e into the cache, LEAT_CACHE or ~/.cache/leat
	go run ./benchmarks/servers/build

bench: ## benchmark the stages, compare with the kept results; KEEP=1 keeps the new ones
	mkdir -p $(RESULTS)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(STAGES) | tee $(RESULTS)/stages.new.txt
	if [ -f $(RESULTS)/stages.txt ]; then $(BENCHSTAT) $(RESULTS)/stages.txt $(RESULTS)/stages.new.txt; fi
	if [ -n '$(KEEP)' ] || [ ! -f $(RESULTS)/stages.txt ]; then mv $(RESULTS)/stages.new.txt $(RESULTS)/stages.txt; fi

compare: ## measure leatd and its peers from outside and print one table; WITH='-h' tells how to choose
	go run ./benchmarks/compare $(WITH)

profile: ## run a real load, leave CPU, heap, mutex and block profiles in benchmarks/results/profile
	go run ./benchmarks/compare -agent leatd -scenario backlog -repeat 1 -profile $(RESULTS)/profile -out ''

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet -tags e2e,e2ekube $(PACKAGES)
	$(STATICCHECK) -tags e2e,e2ekube $(PACKAGES)
	cd benchmarks/servers/otelsink && go vet ./... && $(STATICCHECK) ./...
	cd deploy/image && go vet ./... && $(STATICCHECK) ./...

image: ## the container image, without an engine: an OCI layout and archives in bin/image
	go run -C deploy/image . -version '$(VERSION)'

install: build ## install leatd, its systemd unit and /etc/leat/leat.yaml; DESTDIR is respected
	install -D -m 0755 bin/leatd $(DESTDIR)/usr/local/bin/leatd
	install -D -m 0644 deploy/systemd/leat.service $(DESTDIR)/etc/systemd/system/leat.service
	[ -e $(DESTDIR)/etc/leat/leat.yaml ] || install -D -m 0640 deploy/leat.yaml $(DESTDIR)/etc/leat/leat.yaml
	if [ -z '$(DESTDIR)' ]; then systemctl daemon-reload; fi

uninstall: ## remove them, but for the configuration and the state folder
	if [ -z '$(DESTDIR)' ]; then systemctl disable --now leat || true; fi
	rm -f $(DESTDIR)/usr/local/bin/leatd $(DESTDIR)/etc/systemd/system/leat.service
	if [ -z '$(DESTDIR)' ]; then systemctl daemon-reload; fi
	@echo 'left: /etc/leat and /var/lib/leat'
