# make demo: see it. make test: trust it. make check: before a commit, under a minute.
# make bench: measure it. make more: the slow checks. make index: after a clause moved.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FLAGS    := -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X writ/internal/app.Version=$(VERSION)'
FUZZTIME ?= 30s
SEED     ?= 1
VULNDB   ?= ../shared/data/vulndb-osv.tar.gz

export CGO_ENABLED := 0
export VERSION GO FUZZTIME VULNDB

.PHONY: build fips demo need test check index bench watch-score more clean

build: ## bin/writ
	$(GO) build $(FLAGS) -o bin/writ ./cmd/writ

fips: ## bin/writ-fips, under the certified cryptographic module of the compiler (docs/fips.md)
	GOFIPS140=certified $(GO) build $(FLAGS) -o bin/writ-fips ./cmd/writ

demo: build ## Writ in front of a sample application, on loopback
	bin/writ demo

need: ## what the tests need beside Go
	scripts/need.sh

test: need ## all tests
	$(GO) vet ./...
	$(GO) test -timeout 15m ./...
	GODEBUG=fips140=only $(GO) test ./internal/envelope ./internal/keyring ./internal/fips

check: ## gofmt, vet, fix, tidy, linters where they can be had, the house
	scripts/check.sh

index: ## docs/index.md: clause, controls, code, tests; docs/asvs.md: item, tests, verdict
	$(GO) test ./internal/house -run '^Test(Index|ASVS)IsFresh$$' -update

bench: ## the marks of the design, on this machine
	scripts/bench.sh

watch-score: ## two simulated months of a company, with labelled attacks and without: recall, precision, false pages (minutes; SEED=1)
	WRIT_SCORE=$(SEED) $(GO) test -count=1 -v -timeout 30m -run '^TestScore$$' ./internal/watch

more: fips ## fuzz every target, the build under a certified module, the heavy judges of the OpenID provider and of the edge, all cases of the attack rules, made-up requests against them for 20 minutes, sqlmap, known vulnerabilities, the build twice, an hour of guesses
	scripts/fuzz.sh
	scripts/judges.sh
	WRIT_WAF_CASES=all $(GO) test -count=1 -timeout 20m -run '^Test(RegressionCases|ScreenOnRegressionCases|ScreenOnRandomRequests)$$' ./internal/gateway/waf
	scripts/screen.sh
	scripts/sqlmap.sh
	WRIT_BINARY=$(CURDIR)/bin/writ-fips $(GO) test -count=1 -run '^TestCertifiedModule$$' ./internal/e2e
	scripts/vuln.sh
	scripts/twice.sh
	scripts/attack.sh

clean: ## what make built
	rm -rf bin
