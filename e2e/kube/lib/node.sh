# shellcheck shell=bash
# A node: containerd, kubelet, kube-proxy on a machine of its own.

node_run() { # node
  mkdir -p /run/sysctl /run/config
  node_keep_sysctls
  node_make_cgroup "$machine"
  node_configure_containerd "$1"
  node_configure_kubelet "$1"
  node_configure_proxy "$1"
  supervise containerd containerd --config /run/config/containerd.toml --log-level warn
  images_import || echo "testbed: images are missing on $machine"
  supervise kubelet kubelet --config /run/config/kubelet.yaml --kubeconfig "$PKI/$machine.kubeconfig" \
    --hostname-override "$machine" --node-ip "$(node_address "$1")" \
    --node-labels "topology.kubernetes.io/zone=z$1,topology.kubernetes.io/region=r0"
  supervise kube-proxy kube-proxy --config /run/config/kube-proxy.yaml
}

# The kubelet insists on some settings of the kernel, which are the whole host's. It is shown files that hold
# what it wants.
node_keep_sysctls() {
  local setting file
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1; do
    file=/run/sysctl/$(basename "${setting%=*}")
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/${setting%=*}"
  done
}

# Where the kubelet puts pods' cgroups: it must be there, in each hierarchy of version 1.
node_make_cgroup() { # machine
  local hierarchy group file
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    for group in "" "/$PREFIX" "/$PREFIX/$1"; do
      mkdir -p "/sys/fs/cgroup$group"
      for file in cpuset cpu io memory hugetlb pids; do
        # Not every kernel has every controller.
        echo "+$file" >"/sys/fs/cgroup$group/cgroup.subtree_control" 2>/dev/null || true
      done
    done
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    mountpoint -q "$hierarchy" && [ ! -e "$hierarchy/cgroup.controllers" ] || continue
    for group in "$PREFIX" "$PREFIX/$1"; do
      mkdir -p "$hierarchy$group"
      # A new cpuset is empty, and takes no process in.
      for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$hierarchy$group/$file" ] || cat "$hierarchy$file" >"$hierarchy$group/$file"
      done
    done
  done
}

node_configure_containerd() { # node
  cat >/run/config/containerd.toml <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  # Lowering a score takes a capability that root in a container may lack.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/config/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML
  mkdir -p /run/config/cni
  cat >/run/config/cni/testbed.conflist <<JSON
{
  "cniVersion": "1.0.0",
  "name": "testbed",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isDefaultGateway": true,
      "hairpinMode": true,
      "ipam": { "type": "host-local", "ranges": [[{ "subnet": "$POD_NETWORK.$1.0/24" }]] }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
JSON
}

node_configure_kubelet() { # node
  echo "nameserver $(node_address 0)" >/run/config/resolv.conf
  # Images cannot be pulled again, so none is ever collected. Evictions are left to the very last.
  cat >/run/config/kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_address "$1")
tlsCertFile: $PKI/n$1.crt
tlsPrivateKeyFile: $PKI/n$1.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $PKI/ca.crt}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
cgroupDriver: cgroupfs
cgroupRoot: /$PREFIX/n$1
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
clusterDomain: cluster.local
clusterDNS: [$(node_address 0)]
resolvConf: /run/config/resolv.conf
nodeStatusUpdateFrequency: $NODE_STATUS_PERIOD
nodeLeaseDurationSeconds: $NODE_LEASE_SECONDS
syncFrequency: 10s
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 100Mi
  nodefs.available: 1%
  nodefs.inodesFree: 1%
  imagefs.available: 1%
YAML
}

node_configure_proxy() { # node
  # Zeroes leave the host's settings of connection tracking alone.
  cat >/run/config/kube-proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: n$1
clientConnection: {kubeconfig: $PKI/kube-proxy.kubeconfig}
bindAddress: $(node_address "$1")
clusterCIDR: $POD_NETWORK.0.0/16
detectLocalMode: ClusterCIDR
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {minSyncPeriod: 100ms, syncPeriod: 30s}
YAML
}

# What `testbed node` does, from outside.
node_command() { # node action [command…]
  local machine=n$1
  case $2 in
    cut)
      machine_cut "$machine"
      network_forget_pods "$1"
      ;;
    boot) machine_boot "$machine" "$1" ;;
    partition) network_set_port "$1" down ;;
    heal) network_set_port "$1" up ;;
    exec)
      [ $# -gt 2 ] || die "nothing to run on the node: $1" "testbed node $1 exec COMMAND…"
      machine_enter "$machine" "${@:3}"
      ;;
    restart-kubelet)
      # Killed rather than asked, so that the restart is one after a crash.
      # shellcheck disable=SC2016 # The shell on the node expands it.
      machine_enter "$machine" sh -c 'kill -KILL "$(cat /run/kubelet.pid)"'
      ;;
    *) die "a node cannot do this: $2" "one of: cut boot partition heal exec restart-kubelet" ;;
  esac
}
