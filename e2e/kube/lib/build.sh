# shellcheck shell=bash
# Builds the programs, from the module proxy alone, at the versions that tools/*/go.mod pin.
#
# Two modules, as Kubernetes pins the versions of its own parts and the add-ons want later ones. Results are
# kept in a folder per set of pins, so a change of a version never meets an old program.

# The folder's name must change with whatever the programs are made of.
build_pins() {
  local hash
  hash=$(cd "$HERE/tools" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum)
  echo "${hash:0:12}"
}

# What each group has: module, program, package.
BUILD_BASE="
kubernetes etcd                    go.etcd.io/etcd/server/v3
kubernetes kube-apiserver          k8s.io/kubernetes/cmd/kube-apiserver
kubernetes kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
kubernetes kube-proxy              k8s.io/kubernetes/cmd/kube-proxy
kubernetes kube-scheduler          k8s.io/kubernetes/cmd/kube-scheduler
kubernetes kubectl                 k8s.io/kubernetes/cmd/kubectl
kubernetes kubelet                 k8s.io/kubernetes/cmd/kubelet
addons     coredns                 ./coredns
addons     local-path-provisioner  github.com/rancher/local-path-provisioner
addons     pause                   ./pause
"
BUILD_HELM="addons helm helm.sh/helm/v4/cmd/helm"
BUILD_KWOK="addons kwok sigs.k8s.io/kwok/cmd/kwok"

build() { # group…
  local group rows="" module
  [ $# -gt 0 ] || set -- base helm
  for group in "$@"; do
    case $group in
      base) rows+=$BUILD_BASE$'\n' ;;
      helm) rows+=$BUILD_HELM$'\n' ;;
      kwok) rows+=$BUILD_KWOK$'\n' ;;
      all) rows+=$BUILD_BASE$'\n'$BUILD_HELM$'\n'$BUILD_KWOK$'\n' ;;
      *) die "no such group of programs: $group" "one of: base helm kwok all" ;;
    esac
  done
  # Where Go is when it is no package of the system.
  PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || die "go is missing" "unpack Go 1.26 or later into /usr/local/go"
  mkdir -p "$PROGRAMS"
  # Two builds at once would do everything twice.
  exec {lock}>"$PROGRAMS/.lock"
  flock --nonblock "$lock" || {
    echo "another build runs, waiting for its end"
    flock "$lock"
  }
  for module in kubernetes addons; do
    build_module "$module" "$rows"
  done
  [[ $rows != *kwok* ]] || build_kwok_stages
  exec {lock}>&-
}

# One invocation per module, so that what programs share is compiled and loaded once.
build_module() { # module rows
  local module program package made begun=$SECONDS new=$PROGRAMS/.new
  local -A packages=()
  while read -r module program package; do
    [ "$module" = "$1" ] || continue
    [ -x "$PROGRAMS/$program" ] || packages[$program]=$package
  done <<<"$2"
  if [ ${#packages[@]} -eq 0 ]; then
    echo "$1: everything is there"
    return
  fi
  echo "$1: building ${!packages[*]}"
  rm -rf "$new"
  mkdir "$new"
  (
    cd "$HERE/tools/$1"
    export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
    go build -p "${KLAMM_KUBE_JOBS:-$(nproc)}" -o "$new/" -ldflags "-s -w $(build_versions)" "${packages[@]}"
  ) || die "cannot build $1" "testbed build goes on where it ended"
  # Renamed once whole: an interrupted build is never taken for a program.
  for program in "${!packages[@]}"; do
    made=$program
    [ "$program" != etcd ] || made=server
    mv "$new/$made" "$PROGRAMS/$program"
    echo "  $program: $(($(stat --format %s "$PROGRAMS/$program") / 1000000)) MB"
  done
  rmdir "$new"
  echo "$1: $((SECONDS - begun)) s"
}

# Version of a module; in the folder of the module that requires it.
build_version() { # module
  go list -m -f '{{.Version}}' "$1"
}

# Programs say which version they are; Kubernetes' clients and charts go by it. The linker passes over
# variables that a program has not got.
build_versions() {
  local version minor package
  if grep -q '^module .*/kubernetes$' go.mod; then
    version=$(build_version k8s.io/kubernetes)
    minor=${version#v*.}
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      echo "-X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
      echo "-X $package.gitCommit=${version#v} -X $package.gitTreeState=clean"
      echo "-X $package.buildDate=1970-01-01T00:00:00Z"
    done | tr '\n' ' '
  else
    echo "-X helm.sh/helm/v4/internal/version.version=$(build_version helm.sh/helm/v4)" \
      "-X sigs.k8s.io/kwok/pkg/consts.Version=$(build_version sigs.k8s.io/kwok)"
  fi
}

# How kwok's nodes and pods behave is data in its module. Without it, kwok does nothing.
build_kwok_stages() {
  local stages stage
  stages=$(cd "$HERE/tools/addons" && GOFLAGS=-mod=readonly go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
  stages+=/kustomize/stage
  for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease \
    pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    echo ---
    cat "$stages/$stage.yaml"
  done >"$PROGRAMS/kwok-stages.yaml"
}

# Ends unless these programs are built.
build_require() { # group program…
  local program
  for program in "${@:2}"; do
    [ -x "$PROGRAMS/$program" ] || die "not built: $program" "testbed build $1"
  done
}
