#!/usr/bin/env bash
# natlab.sh - a small internet of network namespaces: two home routers with NAT and a gateway daemon, hosts behind them,
# a public side. The package comment of engine/lab draws it; tests use it through that package.
#
# Nothing in it is linked to the machine's own interfaces, so no packet can leave it. Needs root.
set -euo pipefail

PREFIX=${NATLAB_PREFIX:-natlab}            # several labs can exist side by side
WAN_NET=${NATLAB_WAN:-25.64.0}             # first three octets of the public /24
LAN_A_NET=${NATLAB_LAN_A:-192.168.101}
LAN_B_NET=${NATLAB_LAN_B:-192.168.102}
NAT_A=${NATLAB_NAT_A:-port}                # NAT behaviour at start, see 'nat'
NAT_B=${NATLAB_NAT_B:-port}
IGD_FLAGS_A=${NATLAB_IGD_A:-}              # extra miniupnpd.conf lines, ';' between them
IGD_FLAGS_B=${NATLAB_IGD_B-force_igd_desc_v1=yes}
STATE=${NATLAB_STATE:-/run/natlab}/$PREFIX

ALL_NS="wan router-a router-b lan-a lan-a2 lan-b"

say() { printf 'natlab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
ns()  { echo "$PREFIX-$1"; }
in_ns() { local n; n=$(ns "$1"); shift; ip netns exec "$n" "$@"; }
ns_exists() { [ -e "/run/netns/$(ns "$1")" ]; }

usage() {
  cat <<USAGE
usage: natlab.sh COMMAND [ARGS]
  deps                     apt-get install what the lab needs (the only command that installs)
  check                    exit 0 when the lab can run here; otherwise say what is missing
  up                       build the lab (an old one of the same prefix is taken down first)
  down                     stop everything in the lab and remove it; no error when there is none
  status                   namespaces, addresses, NAT behaviour, gateway daemons, mappings
  env                      the lab's addresses as NATLAB_...=... lines
  exec NS CMD [ARGS]       run CMD in wan, router-a, router-b, lan-a, lan-a2 or lan-b
  nat a|b MODE             none | cone | addr | port | symmetric  (also forgets old flows)
  udp a|b on|off           let UDP through the router, or drop all of it (TCP still works)
  udp-timeout a|b SECS     how long the NAT keeps an idle UDP flow
  gw a|b start|stop        the gateway daemon (stop removes its mappings, as a clean shutdown does)
  gw a|b restart           stop + start: the NAT-PMP epoch starts again, all mappings are gone
  gw a|b crash             power cut: mappings and flows vanish, daemon dead until 'gw .. start'
  gw a|b mute|unmute       daemon alive, its NAT-PMP/SSDP/HTTP packets are dropped (calls time out)
  gw a|b log               what the daemon wrote (all of it with NATLAB_IGD_DEBUG=1 at its start)
  renumber a|b OCTET       give the router another public address (WAN_NET.OCTET)
  flows a|b                the router's connection table
  forget a|b               empty the router's connection table
prefix now: $PREFIX (NATLAB_PREFIX), public net: $WAN_NET.0/24 (NATLAB_WAN)
USAGE
}

need_root() { [ "$(id -u)" = 0 ] || die "needs root"; }

# ---------------------------------------------------------------- installing
cmd_deps() {
  need_root
  local want="iproute2 procps nftables conntrack miniupnpd miniupnpd-nftables" miss="" p
  for p in $want; do dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || miss+=" $p"; done
  [ -n "$miss" ] || { say "nothing to install"; return; }
  say "installing:$miss"
  local lock="-o DPkg::Lock::Timeout=300"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get $lock install -y --no-install-recommends $miss >/dev/null 2>&1 ||
    { apt-get $lock update >/dev/null &&
      DEBIAN_FRONTEND=noninteractive apt-get $lock install -y --no-install-recommends $miss >/dev/null; }
}

cmd_check() {
  local bad="" t
  [ "$(uname -s)" = Linux ] || bad+=" not-Linux"
  [ "$(id -u)" = 0 ] || bad+=" not-root"
  for t in ip nft conntrack miniupnpd sysctl flock; do command -v "$t" >/dev/null || bad+=" no-$t"; done
  if [ -z "$bad" ]; then
    # a namespace with NAT must really be possible, not only the tools present
    local probe="$PREFIX-probe$$"
    if ip netns add "$probe" 2>/dev/null; then
      ip netns exec "$probe" nft 'add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade' 2>/dev/null || bad+=" no-nft-masquerade"
      ip -n "$probe" link add p0 type veth peer name p1 2>/dev/null || bad+=" no-veth"
      ip -n "$probe" link add p2 type bridge 2>/dev/null || bad+=" no-bridge"
      ip netns del "$probe"
    else
      bad+=" no-netns"
    fi
  fi
  [ -z "$bad" ] || { echo "natlab cannot run here:$bad"; return 1; }
  echo "natlab can run here"
}

# ------------------------------------------------------------------ topology
wan_ip()  { case $1 in a) cat "$STATE/wan-ip-a" 2>/dev/null || echo "$WAN_NET.10";; b) cat "$STATE/wan-ip-b" 2>/dev/null || echo "$WAN_NET.20";; esac; }
lan_net() { case $1 in a) echo "$LAN_A_NET";; b) echo "$LAN_B_NET";; *) die "router a or b, not '$1'";; esac; }
side()    { case ${1:-} in a|b) ;; *) die "router a or b, not '${1:-}'";; esac; }

cable() { # NS1 IF1 NS2 IF2: a veth pair that never appears in the machine's own namespace
  ip link add "$2" netns "$(ns "$1")" type veth peer name "$4" netns "$(ns "$3")"
  ip -n "$(ns "$1")" link set "$2" up
  ip -n "$(ns "$3")" link set "$4" up
}

bridge() { # NS IF: a dumb switch; snooping off so that SSDP multicast is simply flooded; without an address of its own
           # it would take a port's, another one whenever ports change, which its neighbours would not notice
  ip -n "$(ns "$1")" link add "$2" address 02:00:00:00:00:01 type bridge mcast_snooping 0 forward_delay 0
  ip -n "$(ns "$1")" link set "$2" up
}

host() { # NS ADDR/LEN GATEWAY
  ip -n "$(ns "$1")" addr add "$2" dev eth0
  ip -n "$(ns "$1")" route add default via "$3"
}

router_rules() { # a|b
  in_ns "router-$1" nft -f - <<NFT
table inet natlab {
  # miniupnpd keeps its rules in these three chains
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }

  # external UDP port -> inside address, filled by outgoing packets ('cone' and 'addr')
  map cone { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; }
  map addr { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; }

  chain mute { }                # 'gw mute'
  chain udp_filter { }          # 'udp off'
  chain mode_out { }            # 'nat MODE'
  chain mode_in { }
  chain mode_nat { }

  chain input {
    type filter hook input priority 0; policy accept;
    jump mute
    # A packet that no rule knows is dropped, not refused: a refusal would leave a flow
    # in the connection table, and the hole punch that follows would get another port.
    iifname "wan0" ct state established,related accept
    iifname "wan0" icmp type echo-request accept
    iifname "wan0" drop
  }
  chain output { type filter hook output priority 0; policy accept; }
  chain forward {
    type filter hook forward priority 0; policy drop;
    jump udp_filter
    jump mode_out
    ct state established,related accept
    iifname "lan0" accept
    ct status dnat accept
    jump miniupnpd
    jump mode_in
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump prerouting_miniupnpd
    iifname "wan0" jump mode_nat
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump postrouting_miniupnpd
  }
  chain mode_snat { type nat hook postrouting priority 110; policy accept; }
}
NFT
}

wan_route() { # without NAT the public side must know the way to the inside
  ip -n "$(ns wan)" route del "$(lan_net "$1").0/24" 2>/dev/null || true
  [ "$(cat "$STATE/nat-$1")" != none ] || ip -n "$(ns wan)" route add "$(lan_net "$1").0/24" via "$(wan_ip "$1")"
}

cmd_nat() {
  side "${1:-}"; local r="router-$1" t="inet natlab" mode=${2:-}
  local rules="flush chain $t mode_out; flush chain $t mode_in; flush chain $t mode_nat; flush chain $t mode_snat; flush map $t cone; flush map $t addr;"
  case $mode in
    none)      rules+="add rule $t mode_in accept;" ;;
    cone)      rules+="add rule $t mode_out iifname \"lan0\" ip protocol udp update @cone { udp sport : ip saddr . udp sport };
                       add rule $t mode_nat dnat ip to udp dport map @cone;
                       add rule $t mode_snat oifname \"wan0\" masquerade;" ;;
    addr)      rules+="add rule $t mode_out iifname \"lan0\" ip protocol udp update @addr { ip daddr . udp sport : ip saddr . udp sport };
                       add rule $t mode_nat dnat ip to ip saddr . udp dport map @addr;
                       add rule $t mode_snat oifname \"wan0\" masquerade;" ;;
    port)      rules+="add rule $t mode_snat oifname \"wan0\" masquerade;" ;;
    symmetric) rules+="add rule $t mode_snat oifname \"wan0\" meta l4proto { tcp, udp } masquerade fully-random;
                       add rule $t mode_snat oifname \"wan0\" masquerade;" ;;
    *) die "nat $1: none, cone, addr, port or symmetric, not '$mode'" ;;
  esac
  printf '%s\n' "$rules" | tr ';' '\n' | in_ns "$r" nft -f -
  echo "$mode" >"$STATE/nat-$1"
  wan_route "$1"
  cmd_forget "$1"
}

cmd_udp() {
  side "${1:-}"
  in_ns "router-$1" nft flush chain inet natlab udp_filter
  case ${2:-} in
    on) ;;
    off) in_ns "router-$1" nft add rule inet natlab udp_filter meta l4proto udp drop ;;
    *) die "udp $1: on or off" ;;
  esac
}

cmd_udp_timeout() {
  side "${1:-}"
  in_ns "router-$1" sysctl -qw "net.netfilter.nf_conntrack_udp_timeout=$2" "net.netfilter.nf_conntrack_udp_timeout_stream=$2"
}

cmd_flows()  { side "${1:-}"; in_ns "router-$1" conntrack -L 2>/dev/null; }
cmd_forget() { side "${1:-}"; in_ns "router-$1" conntrack -F >/dev/null 2>&1; }

cmd_renumber() {
  side "${1:-}"; local old new=$WAN_NET.$2 r; r=$(ns "router-$1"); old=$(wan_ip "$1")
  ip -n "$r" addr del "$old/24" dev wan0
  ip -n "$r" addr add "$new/24" dev wan0
  ip -n "$r" route replace default via "$WAN_NET.1"
  echo "$new" >"$STATE/wan-ip-$1"
  wan_route "$1"
  cmd_forget "$1"
}

# ------------------------------------------------------------ gateway daemon
alive() { grep -q . "/proc/$1/cmdline" 2>/dev/null; }   # a zombie has none

gw_pid() { # prints the pid of this lab's daemon, if it lives
  local pid; pid=$(cat "$STATE/igd-$1.pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = miniupnpd ] || return 1
  grep -qzF "$STATE/igd-$1.conf" "/proc/$pid/cmdline" || return 1
  echo "$pid"
}

gw_conf() { # extra lines replace those below with the same key: the daemon would take a "yes" and keep it
  local extra keys; case $1 in a) extra=$IGD_FLAGS_A;; b) extra=$IGD_FLAGS_B;; esac
  extra=$(printf '%s' "$extra" | tr ';' '\n')
  keys=$(printf '%s' "$extra" | sed -n 's/^\([a-z_]*\)=.*/^\1=/p')
  gw_conf_plain "$1" | if [ -n "$keys" ]; then grep -v -e "$keys"; else cat; fi
  printf '%s\n' "$extra"
}

gw_conf_plain() {
  cat <<CONF
ext_ifname=wan0
listening_ip=lan0
ipv6_disable=yes
http_port=5000
enable_upnp=yes
enable_natpmp=yes
secure_mode=yes
system_uptime=no
notify_interval=60
min_lifetime=1
max_lifetime=86400
minissdpdsocket=$STATE/no-minissdpd.sock
upnp_table_name=natlab
upnp_nat_table_name=natlab
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
friendly_name=natlab router-$1
uuid=00000000-0000-4000-8000-00000000000$1
allow 1024-65535 $(lan_net "$1").0/24 0-65535
deny 0-65535 0.0.0.0/0 0-65535
CONF
}

listens() { # a|b KEY PROTOCOL PORT: or is not meant to
  grep -q "^$2=no" "$STATE/igd-$1.conf" || in_ns "router-$1" ss -ln"$3"H "sport = :$4" | grep -q .
}

shed() { # close all inherited descriptors but 0, 1 and 2: the lock, a test's pipes
  local f
  for f in "/proc/$BASHPID/fd"/*; do f=${f##*/}; [ "$f" -le 2 ] || eval "exec $f>&-"; done
}

gw_start() {
  gw_pid "$1" >/dev/null && { say "gateway $1 already runs"; return; }
  gw_conf "$1" >"$STATE/igd-$1.conf"
  local n; n=$(ns "router-$1")
  # It logs to syslog, that is nowhere; NATLAB_IGD_DEBUG=1 keeps it in the foreground
  # with a log that is very long.
  : >"$STATE/igd-$1.log"
  set -- "$1" ip netns exec "$n" miniupnpd -f "$STATE/igd-$1.conf" -P "$STATE/igd-$1.pid"
  if [ -n "${NATLAB_IGD_DEBUG:-}" ]; then
    ( shed; exec setsid "${@:2}" -d ) </dev/null >>"$STATE/igd-$1.log" 2>&1 &
    disown
  else
    ( shed; exec "${@:2}" ) </dev/null >>"$STATE/igd-$1.log" 2>&1 || true
  fi
  local i
  for i in $(seq 300); do
    gw_pid "$1" >/dev/null && listens "$1" enable_natpmp u 5351 && listens "$1" enable_upnp t 5000 && return
    sleep 0.1
  done
  tail -5 "$STATE/igd-$1.log" >&2
  die "gateway $1 did not start"
}

gw_end() { # a|b SIGNAL
  local pid i; pid=$(gw_pid "$1") || { rm -f "$STATE/igd-$1.pid"; return 0; }
  kill "-$2" "$pid"
  for i in $(seq 50); do alive "$pid" || break; sleep 0.1; done
  if alive "$pid"; then kill -KILL "$pid" 2>/dev/null || true; fi
  rm -f "$STATE/igd-$1.pid"
}

gw_wipe() {
  local c; for c in miniupnpd prerouting_miniupnpd postrouting_miniupnpd; do
    in_ns "router-$1" nft flush chain inet natlab $c; done
  cmd_forget "$1"
}

cmd_gw() {
  side "${1:-}"
  case ${2:-} in
    start)   gw_start "$1" ;;
    stop)    gw_end "$1" TERM; gw_wipe "$1" ;;
    restart) gw_end "$1" TERM; gw_wipe "$1"; gw_start "$1" ;;
    crash)   gw_end "$1" KILL; gw_wipe "$1" ;;
    mute)    in_ns "router-$1" nft flush chain inet natlab mute
             in_ns "router-$1" nft 'add rule inet natlab mute iifname "lan0" udp dport { 1900, 5351 } drop; add rule inet natlab mute iifname "lan0" tcp dport 5000 drop' ;;
    unmute)  in_ns "router-$1" nft flush chain inet natlab mute ;;
    log)     cat "$STATE/igd-$1.log" ;;
    *) die "gw $1: start, stop, restart, crash, mute, unmute or log" ;;
  esac
}

# ------------------------------------------------------------------- up/down
cmd_up() {
  need_root
  cmd_check >/dev/null || { cmd_check || true; die "try: natlab.sh deps"; }
  cmd_down
  mkdir -p "$STATE"
  local n
  for n in $ALL_NS; do
    ip netns add "$(ns "$n")"
    ip -n "$(ns "$n")" link set lo up
    in_ns "$n" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    # The same on every host, whatever the machine prefers.
    in_ns "$n" sysctl -qw net.ipv4.tcp_congestion_control=cubic 2>/dev/null || in_ns "$n" sysctl -qw net.ipv4.tcp_congestion_control=reno
  done

  # public side: a switch in wan, whose own addresses .1 to .5 stand for public hosts
  bridge wan eth0
  in_ns wan sysctl -qw net.ipv4.ip_forward=1
  local i; for i in 1 2 3 4 5; do ip -n "$(ns wan)" addr add "$WAN_NET.$i/24" dev eth0; done

  local s net
  for s in a b; do
    net=$(lan_net "$s")
    cable "router-$s" wan0 wan "port-$s"
    ip -n "$(ns wan)" link set "port-$s" master eth0
    bridge "router-$s" lan0
    ip -n "$(ns "router-$s")" addr add "$net.1/24" dev lan0
    ip -n "$(ns "router-$s")" addr add "$(wan_ip "$s")/24" dev wan0
    ip -n "$(ns "router-$s")" route add default via "$WAN_NET.1"
    in_ns "router-$s" sysctl -qw net.ipv4.ip_forward=1
    router_rules "$s"
  done
  cable lan-a eth0 router-a host1;  ip -n "$(ns router-a)" link set host1 master lan0
  cable lan-a2 eth0 router-a host2; ip -n "$(ns router-a)" link set host2 master lan0
  cable lan-b eth0 router-b host1;  ip -n "$(ns router-b)" link set host1 master lan0
  host lan-a  "$LAN_A_NET.2/24" "$LAN_A_NET.1"
  host lan-a2 "$LAN_A_NET.3/24" "$LAN_A_NET.1"
  host lan-b  "$LAN_B_NET.2/24" "$LAN_B_NET.1"

  cmd_nat a "$NAT_A"; cmd_nat b "$NAT_B"
  gw_start a; gw_start b
  say "up: $PREFIX"
}

cmd_down() {
  need_root
  local n pid
  for n in a b; do gw_end "$n" KILL; done
  for n in $ALL_NS; do
    ns_exists "$n" || continue
    # whatever still runs in a namespace of this lab was started through it
    for pid in $(ip netns pids "$(ns "$n")"); do kill -TERM "$pid" 2>/dev/null || true; done
  done
  for n in $ALL_NS; do
    ns_exists "$n" || continue
    for pid in $(ip netns pids "$(ns "$n")"); do sleep 0.3; kill -KILL "$pid" 2>/dev/null || true; done
    ip netns del "$(ns "$n")"
  done
  rm -rf "$STATE"
}

cmd_env() {
  cat <<ENV
NATLAB_PREFIX=$PREFIX
NATLAB_WAN_HOSTS=$WAN_NET.1,$WAN_NET.2,$WAN_NET.3,$WAN_NET.4,$WAN_NET.5
NATLAB_ROUTER_A_PUBLIC=$(wan_ip a)
NATLAB_ROUTER_A_LAN=$LAN_A_NET.1
NATLAB_LAN_A_IP=$LAN_A_NET.2
NATLAB_LAN_A2_IP=$LAN_A_NET.3
NATLAB_ROUTER_B_PUBLIC=$(wan_ip b)
NATLAB_ROUTER_B_LAN=$LAN_B_NET.1
NATLAB_LAN_B_IP=$LAN_B_NET.2
ENV
}

cmd_status() {
  local n s up=no
  for n in $ALL_NS; do
    if ns_exists "$n"; then up=yes; printf '%-9s %s\n' "$n" "$(ip -n "$(ns "$n")" -br -4 addr | awk '$1!="lo"{printf "%s %s %s  ",$1,$2,$3}')"; fi
  done
  [ $up = yes ] || { echo "down"; return; }
  for s in a b; do
    printf 'router-%s  nat=%s gateway=%s\n' "$s" "$(cat "$STATE/nat-$s")" "$(gw_pid "$s" >/dev/null && echo up || echo down)"
    in_ns "router-$s" nft list chain inet natlab prerouting_miniupnpd | grep dnat || true
  done
}

cmd_exec() {
  local where=${1:-}; shift || true
  case " $ALL_NS " in *" $where "*) ;; *) die "exec: no namespace '$where' (have: $ALL_NS)";; esac
  [ $# -gt 0 ] || die "exec: what?"
  ns_exists "$where" || die "the lab '$PREFIX' is down; natlab.sh up"
  local kv; while IFS= read -r kv; do export "${kv?}"; done < <(cmd_env)
  NATLAB_NS=$where exec ip netns exec "$(ns "$where")" "$@"
}

locked() { # one change at a time per prefix
  need_root
  local dir=${NATLAB_STATE:-/run/natlab} i
  # The last lab to go takes the directory with it, and may do so between the two.
  for i in $(seq 10); do mkdir -p "$dir" && { exec 9>"$dir/$PREFIX.lock"; } 2>/dev/null && break; done
  flock -w 240 9 || die "another natlab.sh is at work on '$PREFIX'"
  "$@"
}
up_required() { ns_exists wan || die "the lab '$PREFIX' is down; natlab.sh up"; }

c=${1:-}; shift || true
case $c in
  deps) cmd_deps ;;
  check) cmd_check ;;
  up) locked cmd_up ;;
  down) locked cmd_down; rm -f "${NATLAB_STATE:-/run/natlab}/$PREFIX.lock"; rmdir "${NATLAB_STATE:-/run/natlab}" 2>/dev/null || true ;;
  status) cmd_status ;;
  env) cmd_env ;;
  exec) cmd_exec "$@" ;;
  nat|udp|gw|renumber|forget) up_required; locked "cmd_$c" "$@" ;;
  udp-timeout) up_required; locked cmd_udp_timeout "$@" ;;
  flows) up_required; cmd_flows "$@" ;;
  ""|help|-h|--help) usage ;;
  *) usage >&2; exit 2 ;;
esac
