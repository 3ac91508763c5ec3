# shellcheck shell=bash
# The network: a switch, and a network namespace per node that is plugged into it.
#
#   PREFIX-switch: bridge, port0 … portN          PREFIX-0: eth0 .1   PREFIX-1: eth0 .2   …
#
# No namespace has an uplink or a default route: nothing leaves the machine. Only plain routes lead from
# node to node for pods, as a cloud's route table would.

network_path() { # node or `switch`
  echo "/run/netns/$PREFIX-$1"
}

# Not `ip netns exec`, which mounts /sys anew, without cgroups.
network_enter() { # node command…
  nsenter --net="$(network_path "$1")" -- "${@:2}"
}

network_up() { # nodes
  local node peer
  # Packets between pods of one node pass the bridge; to find Services behind them, it must call the filters.
  [ -e /proc/sys/net/bridge ] || modprobe br_netfilter 2>/dev/null ||
    die "the kernel has no br_netfilter" "modprobe br_netfilter"
  network_add switch
  ip -n "$PREFIX-switch" link add bridge type bridge
  ip -n "$PREFIX-switch" link set bridge up
  network_sysctl switch bridge/bridge-nf-call-iptables=0 bridge/bridge-nf-call-ip6tables=0
  for ((node = 0; node < $1; node++)); do
    network_add "$node"
    ip -n "$PREFIX-$node" link add eth0 type veth peer name "port$node" netns "$PREFIX-switch"
    ip -n "$PREFIX-switch" link set "port$node" master bridge up
    ip -n "$PREFIX-$node" address add "$(node_address "$node")/24" dev eth0
    ip -n "$PREFIX-$node" link set eth0 up
    network_sysctl "$node" ipv4/ip_forward=1 bridge/bridge-nf-call-iptables=1 \
      ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0
    # What the node itself sends to a Service is routed before it is redirected: some route must be there.
    ip -n "$PREFIX-$node" route add "$SERVICE_CIDR" dev eth0 src "$(node_address "$node")"
    for ((peer = 0; peer < $1; peer++)); do
      ((peer == node)) ||
        ip -n "$PREFIX-$node" route add "$POD_NETWORK.$peer.0/24" via "$(node_address "$peer")"
    done
  done
}

network_add() { # node or `switch`
  ip netns add "$PREFIX-$1" || die "a testbed of this name is up in another cache folder: $NAME" \
    "name this one by KLAMM_KUBE, or: KLAMM_CACHE=… testbed down"
  # Only what is written here is deleted again.
  echo "$PREFIX-$1" >>"$STATE/network-namespaces"
  ip -n "$PREFIX-$1" link set lo up
}

network_sysctl() { # node key=value…
  local setting
  for setting in "${@:2}"; do
    # shellcheck disable=SC2016 # The inner shell expands them.
    network_enter "$1" sh -c 'echo "$2" >"/proc/sys/net/$1"' sh "${setting%=*}" "${setting#*=}"
  done
}

network_is_up() {
  [ -e "$STATE/network-namespaces" ]
}

network_down() {
  local namespace
  while read -r namespace; do
    [ ! -e "/run/netns/$namespace" ] || ip netns delete "$namespace"
  done <"$STATE/network-namespaces"
  rm "$STATE/network-namespaces"
}

network_set_port() { # node up|down
  ip -n "$PREFIX-switch" link set "port$1" "$2"
}

network_is_partitioned() { # node
  [[ $(ip -n "$PREFIX-switch" link show "port$1") != *,UP* ]]
}

# A power cut leaves the bridge of the pods behind, which a node that boots does not expect.
network_forget_pods() { # node
  ip -n "$PREFIX-$1" link delete cni0 2>/dev/null || true
}
