# What .ci/run does all of, in pieces for daily use. "make help" lists them.

FUZZ_SECONDS ?= 20
COUNT ?= 6
BENCH ?= OneWay|Request|Connect|FanOut
BENCHTIME ?= 300ms

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

.PHONY: check
check: ## is it good? format, vet, and the tests of the checked build, which hold floors and documents too
	@test -z "$$(gofmt -l .)" || { gofmt -l . ; exit 1; }
	go vet ./...
	go vet -tags invariant ./...
	go test -tags invariant ./...

.PHONY: test
test: ## the tests as users build them
	go test ./...

.PHONY: race
race: ## the tests under the race detector
	go test -race -timeout 20m ./...

.PHONY: lint
lint: ## golangci-lint, at the version that .ci/run pins
	STEPS="tools lint" .ci/run

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_SECONDS (20)
	STEPS=fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_TOTAL=1000000 .ci/run

.PHONY: bench
bench: ## Go benchmarks, COUNT (6) times each; says what got slower than the saved run, beyond noise
	@mkdir -p .bench
	go test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./bench ./framing > .bench/new.txt || { cat .bench/new.txt; exit 1; }
	@test -f .bench/saved.txt || { cp .bench/new.txt .bench/saved.txt; echo "saved as .bench/saved.txt: the next run is compared with it"; }
	go run ./cmd/p2pbench compare .bench/saved.txt .bench/new.txt

.PHONY: keep
keep: ## the last run of "make bench" becomes the saved one
	cp .bench/new.txt .bench/saved.txt

.PHONY: measure
measure: ## the tables of docs/measuring.md: two processes, baselines in turns; half an hour
	go run ./cmd/p2pbench run --full --against gnet,tls --rounds 5 --json results.jsonl

.PHONY: page
page: ## docs/measured: a page with plots, and pictures, of the current state; on a quiet machine, fifteen minutes (ROUNDS=2: six; RESUME=1 goes on)
	@mkdir -p .bench docs/measured
	go build -o .bench/p2pbench ./cmd/p2pbench
	.bench/p2pbench play page --json .bench/page.jsonl $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(RESUME),--resume) --out docs/measured/report.html; \
		code=$$?; .bench/p2pbench report .bench/page.jsonl --svg docs/measured --only lead,latency-percentiles; exit $$code

.PHONY: comparison
comparison: ## docs/comparison.md: other stacks in turns with carrier; on a quiet machine, 20 minutes (ROUNDS=1: 7; RESUME=1 goes on)
	INTO=../../docs/comparison.md bench/peers/measure

.PHONY: cover
cover: ## what the tests reach, by package; writes cover.out
	go test -short -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -func cover.out | tail -1

.PHONY: ci
ci: ## everything
	.ci/run
