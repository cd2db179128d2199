#!/usr/bin/env bash
# faultlab.sh - faults for a lab that natlab.sh has built: loss, partitions, half-open connections, slow and distant links.
# They live in the lab's namespaces alone and go away with it.
set -euo pipefail

PREFIX=${NATLAB_PREFIX:-natlab}
STATE=${NATLAB_STATE:-/run/natlab}/$PREFIX
T="inet faultlab"

say() { printf 'faultlab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
ns()  { echo "$PREFIX-$1"; }
in_ns() { local n; n=$(ns "$1"); shift; ip netns exec "$n" "$@"; }

usage() {
  cat <<'USAGE'
usage: faultlab.sh COMMAND [ARGS]       (NS: wan, router-a, router-b, lan-a, lan-a2, lan-b)
  loss NS PERCENT [tcp|udp]     drop packets at random as they enter NS (0 ends it; in a router:
                                both directions, so a round trip meets it twice)
  block NS in|out|both ADDR [tcp|udp [PORT]]
                                drop packets from / to ADDR: a partition, one-way if asked
  halfopen NS [PORT]            drop every TCP FIN and RST: the other side never hears of an end
  refuse NS PORT                answer TCP to PORT with RST
  rate NS DEV RATE              token bucket on what leaves DEV, e.g. 'rate router-a wan0 5mbit'
                                ('off' ends it; queue of 400 ms, so it delays under load)
  link NS DEV up|down           pull the cable / plug it in
  mtu NS DEV BYTES              a narrower link
  show NS                       the faults in NS
  clear NS|all                  end loss, block, halfopen, refuse and rate
  wire a|b [FLAGS]              put a delaying, lossy cable between the router and the public side;
                                FLAGS: -delay 40ms -jitter 5ms -loss 1 -dup 0.1 -reorder 1
                                -rate 20000000 (each direction). Again with other flags: replaced
  unwire a|b                    the plain cable again
Stalls: kill -STOP / -CONT the process under test (its own pid only).
USAGE
}

table() { # create the empty table once
  in_ns "$1" nft list table $T >/dev/null 2>&1 && return
  in_ns "$1" nft -f - <<NFT
table $T {
  chain loss { }
  chain rules_in { }
  chain rules_out { }
  chain arrive { type filter hook prerouting priority -350; policy accept; jump loss; jump rules_in; }
  chain local_out { type filter hook output priority -350; policy accept; jump rules_out; }
  chain pass_out { type filter hook forward priority -350; policy accept; jump rules_out; }
}
NFT
}

cmd_loss() {
  table "$1"; in_ns "$1" nft flush chain $T loss
  local n; n=$(awk -v p="$2" 'BEGIN{printf "%d", p*100}')
  [ "$n" -gt 0 ] || return 0
  in_ns "$1" nft add rule $T loss iifname != '"lo"' ${3:+meta l4proto "$3"} numgen random mod 10000 '<' "$n" counter drop
}

cmd_block() {
  table "$1"; local dir=$2 addr=$3 proto=${4:-} port=${5:-}
  case $dir in in|both) in_ns "$1" nft add rule $T rules_in  ip saddr "$addr" ${proto:+meta l4proto "$proto"} ${port:+th sport "$port"} counter drop;; esac
  case $dir in out|both) in_ns "$1" nft add rule $T rules_out ip daddr "$addr" ${proto:+meta l4proto "$proto"} ${port:+th dport "$port"} counter drop;; esac
}

cmd_halfopen() {
  table "$1"; local c
  for c in rules_in rules_out; do
    if [ -n "${2:-}" ]; then
      in_ns "$1" nft add rule $T $c tcp sport "$2" tcp flags '&' '(fin|rst)' '!=' 0 counter drop
      in_ns "$1" nft add rule $T $c tcp dport "$2" tcp flags '&' '(fin|rst)' '!=' 0 counter drop
    else
      in_ns "$1" nft add rule $T $c tcp flags '&' '(fin|rst)' '!=' 0 counter drop
    fi
  done
}

cmd_refuse() { # reject works from input/forward/output only, so in its own chain
  table "$1"
  in_ns "$1" nft "add chain $T refuse_in { type filter hook input priority -350; policy accept; }; add rule $T refuse_in tcp dport $2 counter reject with tcp reset"
}

cmd_rate() {
  if [ "$3" = off ]; then in_ns "$1" tc qdisc del dev "$2" root 2>/dev/null || true; return; fi
  in_ns "$1" tc qdisc replace dev "$2" root tbf rate "$3" burst 32kb latency 400ms
}

cmd_clear() {
  local n d
  if [ "$1" = all ]; then for n in wan router-a router-b lan-a lan-a2 lan-b; do cmd_clear $n; done; return; fi
  in_ns "$1" nft delete table $T 2>/dev/null || true
  for d in $(in_ns "$1" tc qdisc show | awk '$2=="tbf"{print $5}'); do in_ns "$1" tc qdisc del dev "$d" root || true; done
}

cmd_show() { in_ns "$1" nft list table $T 2>/dev/null | grep -E 'counter|drop' || true; in_ns "$1" tc qdisc show | grep tbf || true; }

wire_end() {
  local pid; pid=$(cat "$STATE/wire-$1.pid" 2>/dev/null) || return 0
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = wire ]; then
    kill -TERM "$pid"; local i; for i in $(seq 300); do grep -q . "/proc/$pid/cmdline" 2>/dev/null || break; sleep 0.1; done
  fi
  rm -f "$STATE/wire-$1.pid"
}

# wan:eth0 (switch) === core-X ~~~ wire process ~~~ seg-X-tap === seg-X (switch) === port-X -- router-X
cmd_wire() {
  local s=$1 w; shift; w=$(ns wan)
  local bin=${NATLAB_WIRE:-}
  [ -x "$bin" ] || die "wire: NATLAB_WIRE names no program; package lab sets it to the test binary"
  wire_end "$s"
  if ! ip -n "$w" link show "seg-$s" >/dev/null 2>&1; then
    ip -n "$w" link add "seg-$s" type bridge mcast_snooping 0 forward_delay 0
    ip -n "$w" tuntap add "core-$s" mode tap; ip -n "$w" tuntap add "seg-$s-tap" mode tap
    ip -n "$w" link set "core-$s" master eth0; ip -n "$w" link set "seg-$s-tap" master "seg-$s"
    local i; for i in "seg-$s" "core-$s" "seg-$s-tap"; do ip -n "$w" link set "$i" up; done
  fi
  : >"$STATE/wire-$s.log" # the wire before has said in it that it is up
  (
    for f in "/proc/$BASHPID/fd"/*; do f=${f##*/}; [ "$f" -le 2 ] || eval "exec $f>&-"; done
    exec ip netns exec "$w" "$bin" -a "core-$s" -b "seg-$s-tap" "$@"
  ) </dev/null >"$STATE/wire-$s.log" 2>&1 &
  echo $! >"$STATE/wire-$s.pid"; disown
  local i; for i in $(seq 300); do grep -q 'wire: up' "$STATE/wire-$s.log" && break; sleep 0.1; done
  grep -q 'wire: up' "$STATE/wire-$s.log" || { cat "$STATE/wire-$s.log" >&2; die "wire $s did not start"; }
  ip -n "$w" link set "port-$s" master "seg-$s"
}

cmd_unwire() {
  local s=$1 w; w=$(ns wan)
  ip -n "$w" link set "port-$s" master eth0
  wire_end "$s"
  cat "$STATE/wire-$s.log" 2>/dev/null || true
  local i; for i in "seg-$s" "core-$s" "seg-$s-tap"; do ip -n "$w" link del "$i" 2>/dev/null || true; done
}

c=${1:-}; shift || true
case $c in ""|help|-h|--help) usage; exit 0 ;; esac
[ "$(id -u)" = 0 ] || die "needs root"
[ -e "/run/netns/$(ns wan)" ] || die "the lab '$PREFIX' is down; natlab.sh up"
case $c in
  loss) [ $# -ge 2 ] || { usage; exit 2; }; cmd_loss "$@" ;;
  block) [ $# -ge 3 ] || { usage; exit 2; }; cmd_block "$@" ;;
  halfopen) cmd_halfopen "$@" ;;
  refuse) cmd_refuse "$@" ;;
  rate) cmd_rate "$@" ;;
  link) ip -n "$(ns "$1")" link set "$2" "$3" ;;
  mtu) ip -n "$(ns "$1")" link set "$2" mtu "$3" ;;
  show) cmd_show "$@" ;;
  clear) cmd_clear "$@" ;;
  wire) cmd_wire "$@" ;;
  unwire) cmd_unwire "$@" ;;
  *) usage >&2; exit 2 ;;
esac
