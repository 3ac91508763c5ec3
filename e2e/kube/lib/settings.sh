# shellcheck shell=bash
# What everything goes by: names, folders, addresses, times; and how to complain and to wait.
#
# Sourced on the host by `testbed`, and inside of a machine by machine-init.sh, where the state is mounted at
# TESTBED_STATE. The name, which is all that addresses follow from, is the same.

die() { # message [hint]
  echo "error: $1" >&2
  [ $# -lt 2 ] || echo "hint: $2" >&2
  exit 1
}

# Tries a command until it succeeds.
wait_for() { # seconds what command…
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || die "waited in vain for $what" "testbed logs"
    sleep 0.2
  done
}

NAME=${KLAMM_KUBE:-klamm}
[[ $NAME =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
  die "KLAMM_KUBE is no name: $NAME" "a lower case letter, then letters, digits and -, 31 at most"
# Network namespaces and the cgroup that holds the nodes' are named so.
PREFIX=kube-$NAME

CACHE=$(realpath --canonicalize-missing "${KLAMM_CACHE:-$HOME/.cache/klamm}")/kube
STATE=${TESTBED_STATE:-$CACHE/state-$NAME}
LOG=$STATE/log
PKI=$STATE/pki
IMAGES=$STATE/images
# What the class `hostpath` has volumes in; every machine sees the same.
VOLUMES=$STATE/volumes

# Nothing outside of the namespaces ever sees these addresses. The nodes' network follows from the name only
# to tell the logs of two testbeds apart.
NAME_HASH=$(cksum <<<"$NAME")
NODE_NETWORK=192.168.$((${NAME_HASH%% *} % 256))
POD_NETWORK=10.244
SERVICE_CIDR=10.96.0.0/16
API_SERVICE=10.96.0.1
DNS_SERVICE=10.96.0.10
# A node's number is an octet of its pods' addresses, and a veth and three processes of a small machine.
NODES_MAX=9

# A node that is lost is noticed after some 15 s instead of 40 s, its pods are evicted 15 s later instead of
# 300 s: tests wait for both.
NODE_STATUS_PERIOD=4s
NODE_LEASE_SECONDS=10
NODE_GRACE_PERIOD=16s
EVICTION_SECONDS=15

PAUSE_IMAGE=klamm.test/pause:1
BUSYBOX_IMAGE=klamm.test/busybox:1

# Node 0 has the first address, which is the API server's and the DNS server's as well.
node_address() { # node
  echo "$NODE_NETWORK.$(($1 + 1))"
}
