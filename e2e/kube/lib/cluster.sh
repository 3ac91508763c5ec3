# shellcheck shell=bash
# The cluster as a whole: up, down, what state it is in, and the way in for programs outside of it.

CLUSTER_COMMANDS="conntrack containerd ctr flock ip iptables mountpoint nft nsenter openssl pivot_root
runc unshare"

cluster_require_packages() {
  local command missing=()
  for command in $CLUSTER_COMMANDS; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  [ -x /usr/lib/cni/bridge ] || missing+=(/usr/lib/cni/bridge)
  [ -x /bin/busybox ] || missing+=(/bin/busybox)
  [ ${#missing[@]} -eq 0 ] || die "missing: ${missing[*]}" \
    "apt-get install --no-install-recommends $(tr '\n' ' ' <"$HERE/packages.txt")"
}

cluster_require_up() {
  [ -e "$STATE/up" ] || die "the testbed is not up: $NAME" "testbed up"
}

cluster_up() { # [--nodes N]
  local nodes=3 node begun=$SECONDS
  case $#:${1:-} in
    0:) ;;
    2:--nodes) nodes=$2 ;;
    *) die "up does not know: $*" "testbed up [--nodes N]" ;;
  esac
  [[ $nodes =~ ^[0-9]+$ ]] && ((nodes >= 1 && nodes <= NODES_MAX)) ||
    die "not a number from 1 to $NODES_MAX: $nodes"
  [ ! -e "$STATE" ] || die "it is up already, or was not taken down: $NAME" \
    "testbed status, testbed down, or another name in KLAMM_KUBE"
  cluster_require_packages
  build_require base etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet \
    coredns local-path-provisioner pause

  mkdir -p "$CACHE"
  mkdir "$STATE"
  mkdir "$LOG" "$VOLUMES"
  # Commands that come later use these programs, also when the pins have changed meanwhile.
  printf 'NODES=%s\nPROGRAMS=%q\n' "$nodes" "$PROGRAMS" >"$STATE/up"
  # A copy, so that a machine which boots later runs what the others do, whatever is edited.
  cp -r "$HERE/lib" "$STATE/lib"
  cluster_write_resolv_conf
  pki_make "$nodes"
  images_make
  network_up "$nodes"
  cluster_told "$begun" "certificates, images and network are made"

  machine_boot cp 0
  for ((node = 0; node < nodes; node++)); do
    machine_boot "n$node" "$node"
  done
  wait_for 120 "the API server" cluster_kubectl get --raw /readyz
  cluster_told "$begun" "the API server is ready"
  wait_for 60 "the system's namespace" cluster_kubectl get namespace kube-system
  cat "$HERE"/manifests/*.yaml |
    sed "s/NODE_0_ADDRESS/$(node_address 0)/; s/DNS_SERVICE/$DNS_SERVICE/" |
    cluster_kubectl apply -f - >/dev/null
  touch "$STATE/manifests-applied"
  for ((node = 0; node < nodes; node++)); do
    wait_for 60 "node n$node" cluster_kubectl get node "n$node"
  done
  cluster_kubectl wait --for=condition=Ready node --all --timeout=120s >/dev/null
  cluster_told "$begun" "nodes are ready: $nodes"
  # Without it, no pod can be made.
  wait_for 60 "the default service account" cluster_kubectl get serviceaccount default
  cluster_told "$begun" "up: testbed kubectl get nodes"
}

cluster_told() { # since message
  printf '%4d s  %s\n' $((SECONDS - $1)) "$2"
}

cluster_down() {
  local node
  [ -e "$STATE" ] || {
    echo "nothing is up: $NAME"
    return
  }
  machine_cut cp
  for ((node = 0; node < NODES_MAX; node++)); do
    machine_cut "n$node"
  done
  # Who has the namespaces has the name, and with it the cgroups; another cache folder's may be up.
  if network_is_up; then
    cluster_remove_cgroups
    network_down
  fi
  rm -rf "$STATE"
}

# The kernel empties them some moments after the last process is gone.
cluster_remove_cgroups() {
  local group left try
  for ((try = 0; try < 50; try++)); do
    left=""
    # Version 1 has them in each hierarchy, version 2 has one.
    for group in /sys/fs/cgroup/"$PREFIX" /sys/fs/cgroup/*/"$PREFIX"; do
      [ -d "$group" ] || continue
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || left=$group
    done
    [ -n "$left" ] || return 0
    sleep 0.2
  done
  die "a cgroup is not empty: $left" "see cgroup.procs below it, then: testbed down"
}

# Programs in the network of node 0 find the cluster's names with this; the rest is the host's.
cluster_write_resolv_conf() {
  printf 'nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\n' \
    "$(node_address 0)" >"$STATE/resolv.conf"
}

# Becomes a program in the network of node 0, from where it reaches the API server, pods and Services.
cluster_enter() { # command…
  export KUBECONFIG=$PKI/admin.kubeconfig PATH=$PROGRAMS:$PATH
  export HELM_CACHE_HOME=$STATE/helm/cache HELM_CONFIG_HOME=$STATE/helm/config HELM_DATA_HOME=$STATE/helm/data
  # A mount namespace only for the sake of resolv.conf: it ends with the program.
  # shellcheck disable=SC2016 # The inner shell expands them.
  exec nsenter --net="$(network_path 0)" -- unshare --mount --propagation slave -- sh -c \
    'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"' sh "$STATE/resolv.conf" "$@"
}

cluster_kubectl() { # argument…
  network_enter 0 "$PROGRAMS/kubectl" --kubeconfig "$PKI/admin.kubeconfig" "$@"
}

cluster_status() {
  local machine word node
  echo "testbed $NAME: $NODES nodes on $NODE_NETWORK.0/24, state in $STATE"
  for ((node = -1; node < NODES; node++)); do
    machine=n$node
    [ "$node" -ge 0 ] || machine="cp"
    word=off
    ! machine_is_on "$machine" || word=on
    [ "$machine" = cp ] || ! network_is_partitioned "$node" || word+=", partitioned"
    echo "$machine: $word"
  done
  cluster_kubectl get nodes --request-timeout=5s || echo "the API server does not answer"
}

# Without a name, the end of each log; with names, as n0.kubelet, whole logs.
cluster_logs() { # [name…]
  local name
  if [ $# -eq 0 ]; then
    tail -n 20 "$LOG"/*.log
    return
  fi
  for name in "$@"; do
    [ -e "$LOG/$name.log" ] ||
      die "no such log: $name" "one of: $(cd "$LOG" && printf '%s ' *.log | sed 's/\.log//g')"
    cat "$LOG/$name.log"
  done
}
