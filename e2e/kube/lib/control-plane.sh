# shellcheck shell=bash
# The control plane, a machine in the network namespace of node 0: etcd, API server, controller manager,
# scheduler, and as add-ons the DNS server and the provisioner of the class `local-path`.
#
# One member of each, so nothing is elected. Pods and nodes go on while it is off.

control_plane_run() {
  # A power cut of the machine is not one of the host: its page cache stays, so nothing need be synced.
  supervise etcd etcd --name cp --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster cp=http://127.0.0.1:2380 \
    --auto-compaction-mode periodic --auto-compaction-retention 10m
  control_plane_api_server
  control_plane_controller_manager
  supervise kube-scheduler kube-scheduler --leader-elect=false --bind-address 127.0.0.1 \
    --cert-dir /var/lib/kube-scheduler --kubeconfig "$PKI/kube-scheduler.kubeconfig" \
    --authentication-kubeconfig "$PKI/kube-scheduler.kubeconfig" \
    --authorization-kubeconfig "$PKI/kube-scheduler.kubeconfig"
  storage_open_volumes &
  # Add-ons have no rights before `up` has applied the manifests.
  until [ -e "$STATE/manifests-applied" ]; do sleep 0.2; done
  control_plane_dns
  storage_provision
}

control_plane_api_server() {
  supervise kube-apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 \
    --bind-address 0.0.0.0 --secure-port 6443 --advertise-address "$(node_address 0)" \
    --service-cluster-ip-range "$SERVICE_CIDR" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
    --client-ca-file "$PKI/ca.crt" \
    --tls-cert-file "$PKI/kube-apiserver.crt" --tls-private-key-file "$PKI/kube-apiserver.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" \
    --kubelet-client-certificate "$PKI/kubelet-client.crt" --kubelet-client-key "$PKI/kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/service-accounts.pub" \
    --service-account-signing-key-file "$PKI/service-accounts.key" \
    --requestheader-client-ca-file "$PKI/ca.crt" --requestheader-allowed-names front-proxy \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$PKI/front-proxy.crt" --proxy-client-key-file "$PKI/front-proxy.key" \
    --default-not-ready-toleration-seconds "$EVICTION_SECONDS" \
    --default-unreachable-toleration-seconds "$EVICTION_SECONDS" \
    --event-ttl 2h --profiling=false \
    --audit-policy-file "$STATE/lib/audit.yaml" --audit-log-path "$LOG/cp.audit.log"
}

control_plane_controller_manager() {
  # It makes a folder for plugins, by default below /usr, which it must leave alone.
  supervise kube-controller-manager kube-controller-manager --leader-elect=false \
    --bind-address 127.0.0.1 --cert-dir /var/lib/kube-controller-manager \
    --flex-volume-plugin-dir /var/lib/kube-controller-manager/volume-plugins \
    --kubeconfig "$PKI/kube-controller-manager.kubeconfig" \
    --authentication-kubeconfig "$PKI/kube-controller-manager.kubeconfig" \
    --authorization-kubeconfig "$PKI/kube-controller-manager.kubeconfig" \
    --use-service-account-credentials=true --service-account-private-key-file "$PKI/service-accounts.key" \
    --root-ca-file "$PKI/ca.crt" \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --allocate-node-cidrs=false --enable-hostpath-provisioner=true \
    --node-monitor-period 2s --node-monitor-grace-period "$NODE_GRACE_PERIOD"
}

# Names of the cluster; for any other there is, at once, no such name. Caches are short, since tests ask for
# pods that come and go.
control_plane_dns() {
  cat >/run/Corefile <<COREFILE
cluster.local in-addr.arpa {
    bind $(node_address 0)
    errors
    kubernetes cluster.local in-addr.arpa {
        kubeconfig $PKI/coredns.kubeconfig
        pods insecure
        ttl 2
    }
    cache 2
    loadbalance
}
. {
    bind $(node_address 0)
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
}
COREFILE
  supervise coredns coredns -conf /run/Corefile
}
