# shellcheck shell=bash
# A self-test: what tests of Klamm rely on, tried in a namespace of its own. Ends at the first thing that does
# not hold, and leaves that namespace behind to look at.

CHECK_NAMESPACE=testbed-check

check() {
  local last=$((NODES - 1)) begun=$SECONDS
  check_kubectl delete namespace "$CHECK_NAMESPACE" --ignore-not-found --timeout=120s >/dev/null
  check_nodes
  check_told "$begun" "nodes are Ready: $NODES"
  check_kubectl create namespace "$CHECK_NAMESPACE" >/dev/null
  check_pods
  check_told "$begun" "a pod runs on each node, exec and logs work"
  check_dns
  check_told "$begun" "pods find each other by name, no other name is found"
  check_volumes
  check_told "$begun" "a claim of each class binds, and a pod that is not root writes there"
  check_port_forward
  check_told "$begun" "a port is forwarded"
  check_enter
  check_told "$begun" "programs outside reach pods by name"
  check_cut "$last"
  check_told "$begun" "n$last is not Ready when cut, and Ready again after a boot"
  check_kubectl delete namespace "$CHECK_NAMESPACE" --timeout=120s >/dev/null
  check_told "$begun" "all is well"
}

check_told() { # since message
  printf '%4d s  ok  %s\n' $((SECONDS - $1)) "$2"
}

# For what may fail.
check_try() { # argument…
  cluster_kubectl --namespace "$CHECK_NAMESPACE" "$@"
}

check_kubectl() { # argument…
  check_try "$@" || die "kubectl failed: $*" "testbed logs"
}

check_nodes() {
  local count
  check_kubectl wait --for=condition=Ready node --all --timeout=60s >/dev/null
  count=$(check_kubectl get nodes --output name | wc -l)
  [ "$count" = "$NODES" ] || die "nodes that registered: $count of $NODES"
}

# A web server per node that says which node it is on, below a headless Service.
check_pods() {
  check_kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: None
  selector: {app: web}
  ports: [{name: http, port: 8080}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      securityContext: {runAsNonRoot: true, runAsUser: 1000}
      containers:
        - name: web
          image: $BUSYBOX_IMAGE
          imagePullPolicy: Never
          command: [sh, -c, 'echo "serving on \$NODE"; echo "\$NODE" >/tmp/node; exec httpd -f -p 8080 -h /tmp']
          env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
          readinessProbe: {httpGet: {path: /node, port: 8080}, periodSeconds: 1}
YAML
  check_kubectl rollout status daemonset/web --timeout=90s >/dev/null
  local pod said
  for pod in $(check_web_pods); do
    said=$(check_kubectl exec "$pod" -- cat /tmp/node)
    [[ $(check_kubectl logs "$pod") == "serving on $said" ]] || die "this pod's log is not its own: $pod"
    echo "$said"
  done | sort -u | wc -l | grep -qx "$NODES" || die "not every node has a pod: $(check_web_pods | tr '\n' ' ')"
}

check_web_pods() {
  check_kubectl get pods --selector app=web --output name
}

check_dns() {
  local pod found addresses address said
  pod=$(check_web_pods | sed -n 1p)
  found=$(check_try exec "$pod" -- nslookup -type=a "web.$CHECK_NAMESPACE.svc.cluster.local" |
    grep -c "Address.* $POD_NETWORK\.") || true
  [ "$found" = "$NODES" ] || die "addresses of the headless Service: $found of $NODES"
  # By the short name, and from node to node.
  addresses=$(check_kubectl get pods --selector app=web --output 'jsonpath={.items[*].status.podIP}')
  for address in web $addresses; do
    check_kubectl exec "$pod" -- wget -qO- "http://$address:8080/node" >/dev/null
  done
  said=$(check_try exec "$pod" -- wget -qO- http://outside.test/ 2>&1) || true
  [[ $said == *"bad address"* ]] || die "a name outside of the cluster was found: outside.test: $said"
}

check_volumes() {
  local class
  for class in hostpath local-path; do
    check_kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $class}
spec:
  storageClassName: $class
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: $class}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000}
  containers:
    - name: writer
      image: $BUSYBOX_IMAGE
      imagePullPolicy: Never
      command: [sh, -c, 'until touch /data/written; do sleep 1; done; exec sleep 1000000']
      readinessProbe: {exec: {command: [ls, /data/written]}, periodSeconds: 1}
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: $class}}]
YAML
  done
  check_kubectl wait --for=condition=Ready pod/hostpath pod/local-path --timeout=90s >/dev/null
  check_kubectl wait --for=jsonpath='{.status.phase}'=Bound pvc/hostpath pvc/local-path --timeout=10s >/dev/null
}

check_port_forward() {
  local pod said port forwarder
  pod=$(check_web_pods | sed -n 1p)
  said=$STATE/port-forward
  # Not through a function: its process must be the one that is ended.
  nsenter --net="$(network_path 0)" -- "$PROGRAMS/kubectl" --kubeconfig "$PKI/admin.kubeconfig" \
    --namespace "$CHECK_NAMESPACE" port-forward "$pod" :8080 >"$said" &
  forwarder=$!
  # shellcheck disable=SC2064 # It is this process, whatever the variable is by then.
  trap "kill $forwarder" EXIT
  wait_for 20 "port-forward" grep -q 127.0.0.1: "$said"
  port=$(sed -n 's/.* 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$said")
  network_enter 0 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port
    printf 'GET /node HTTP/1.0\r\n\r\n' >&3; grep -q '^n[0-9]' <&3" ||
    die "nothing came through the forwarded port"
  trap - EXIT
  kill "$forwarder"
  wait "$forwarder" || true
  rm "$said"
}

check_enter() {
  (cluster_enter bash -c "exec 3<>/dev/tcp/web.$CHECK_NAMESPACE.svc.cluster.local/8080
    printf 'GET /node HTTP/1.0\r\n\r\n' >&3; grep -q '^n[0-9]' <&3") ||
    die "a pod is not reached by name from outside"
}

check_cut() { # node
  node_command "$1" cut
  check_kubectl wait --for=condition=Ready=Unknown "node/n$1" --timeout=60s >/dev/null
  node_command "$1" boot
  check_kubectl wait --for=condition=Ready "node/n$1" --timeout=90s >/dev/null
}
