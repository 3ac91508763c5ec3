# shellcheck shell=bash
# Keys, certificates, kubeconfigs: one authority for all, a certificate per program and node.

pki_make() { # nodes
  local node address names program
  mkdir -p "$PKI"
  chmod 700 "$PKI"
  # Without a configuration of its own, openssl would add extensions from the system's.
  printf '[req]\ndistinguished_name = subject\n[subject]\n' >"$PKI/openssl.cnf"
  pki_request ca /CN=testbed -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature

  address=$(node_address 0)
  names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
  names+=,DNS:kubernetes.default.svc.cluster.local,DNS:localhost
  pki_certificate kube-apiserver /CN=kube-apiserver "$names,IP:127.0.0.1,IP:$address,IP:$API_SERVICE"
  # What the API server is to kubelets, and to API servers that it passes requests on to.
  pki_certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  pki_certificate front-proxy /CN=front-proxy

  pki_certificate admin /O=system:masters/CN=admin
  for program in kube-controller-manager kube-scheduler kube-proxy coredns local-path-provisioner; do
    pki_certificate "$program" "/CN=system:$program"
  done
  for program in admin kube-controller-manager kube-scheduler kube-proxy coredns local-path-provisioner; do
    pki_kubeconfig "$program"
  done
  # A kubelet serves logs and exec with the certificate that it is a client with.
  for ((node = 0; node < $1; node++)); do
    pki_certificate "n$node" "/O=system:nodes/CN=system:node:n$node" "DNS:n$node,IP:$(node_address "$node")"
    pki_kubeconfig "n$node"
  done
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/service-accounts.key"
  openssl ec -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" 2>/dev/null
}

pki_certificate() { # name subject [alternative names]
  pki_request "$1" "$2" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" \
    -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=serverAuth,clientAuth \
    ${3:+-addext "subjectAltName=$3"}
}

pki_request() { # name subject option…
  local said
  said=$(openssl req -x509 -config "$PKI/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days 3650 -subj "$2" -keyout "$PKI/$1.key" -out "$PKI/$1.crt" "${@:3}" 2>&1) ||
    die "no certificate for $1: $said" "openssl 3 is needed: $(openssl version)"
}

pki_kubeconfig() { # name
  cat >"$PKI/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: testbed
    cluster:
      server: https://$(node_address 0):6443
      certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
users:
  - name: $1
    user:
      client-certificate-data: $(base64 -w0 "$PKI/$1.crt")
      client-key-data: $(base64 -w0 "$PKI/$1.key")
contexts:
  - name: testbed
    context: {cluster: testbed, user: $1}
current-context: testbed
YAML
}
