# shellcheck shell=bash
# Images come as archives: there is no registry. `load` keeps an archive, so that nodes which are off or not
# made yet import it when they boot. Pods name such an image with `imagePullPolicy: Never`.

# The two images that the cluster itself needs.
images_make() {
  local root=$STATE/image-root
  mkdir -p "$IMAGES"

  mkdir -p "$root"
  cp "$PROGRAMS/pause" "$root/pause"
  images_archive "$PAUSE_IMAGE" '["/pause"]' "$root" "$IMAGES/pause.tar"
  rm -r "$root"

  mkdir -p "$root/bin" "$root/tmp"
  chmod 1777 "$root/tmp"
  cp /bin/busybox "$root/bin/busybox"
  local applet
  for applet in cat hostname httpd id ls mkdir nslookup rm sh sleep touch wget; do
    ln -s busybox "$root/bin/$applet"
  done
  images_archive "$BUSYBOX_IMAGE" '["/bin/sh"]' "$root" "$IMAGES/busybox.tar"
  rm -r "$root"
}

# Writes an OCI archive of one layer, the folder `root`. The same files make the same bytes.
images_archive() { # reference entrypoint-as-JSON root archive
  local layout layer config manifest machine
  layout=$(mktemp -d "$STATE/layout.XXXXXX")
  mkdir -p "$layout/blobs/sha256"
  case $(uname -m) in
    x86_64) machine=amd64 ;;
    aarch64) machine=arm64 ;;
    *) die "no image can be made for this machine: $(uname -m)" ;;
  esac

  images_tar "$3" . >"$layout/blob"
  layer=$(images_blob "$layout" vnd.oci.image.layer.v1.tar)
  cat >"$layout/blob" <<JSON
{"architecture": "$machine", "os": "linux",
 "config": {"Entrypoint": $2, "Env": ["PATH=/bin"], "WorkingDir": "/"},
 "rootfs": {"type": "layers", "diff_ids": [$(grep -o '"sha256:[0-9a-f]*"' <<<"$layer")]}}
JSON
  config=$(images_blob "$layout" vnd.oci.image.config.v1+json)
  cat >"$layout/blob" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
 "config": {$config}, "layers": [{$layer}]}
JSON
  manifest=$(images_blob "$layout" vnd.oci.image.manifest.v1+json)
  # The first annotation is where containerd looks for the name.
  cat >"$layout/index.json" <<JSON
{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
 "manifests": [{$manifest, "platform": {"architecture": "$machine", "os": "linux"},
  "annotations": {"io.containerd.image.name": "$1", "org.opencontainers.image.ref.name": "${1##*:}"}}]}
JSON
  echo '{"imageLayoutVersion": "1.0.0"}' >"$layout/oci-layout"
  images_tar "$layout" oci-layout index.json blobs >"$4"
  rm -r "$layout"
}

images_tar() { # folder file…
  tar --create --directory "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "${@:2}"
}

# Files a blob away under its digest, and prints the members of its descriptor.
images_blob() { # layout media type
  local digest size
  digest=$(sha256sum <"$1/blob")
  digest=${digest%% *}
  size=$(stat --format %s "$1/blob")
  mv "$1/blob" "$1/blobs/sha256/$digest"
  echo "\"mediaType\": \"application/$2\", \"digest\": \"sha256:$digest\", \"size\": $size"
}

# Imports, on a node, the archives that have come since the last time.
images_import() {
  local archive done=/var/lib/imported
  mkdir -p "$done"
  wait_for 60 "containerd on $(hostname)" ctr version
  for archive in "$IMAGES"/*.tar; do
    [ -e "$archive" ] || continue
    [ "$archive" -nt "$done/${archive##*/}" ] || continue
    ctr --namespace k8s.io images import "$archive" >/dev/null || return 1
    touch --reference "$archive" "$done/${archive##*/}"
  done
}

# What `testbed load` does, from outside.
images_load() { # archive…
  local archive path kept node
  for archive in "$@"; do
    [ -f "$archive" ] || die "no such image archive: $archive"
    # Archives from several folders may have the same name; one that was built anew replaces itself.
    path=$(realpath "$archive")
    kept=$(cksum <<<"$path")
    kept=$IMAGES/${kept%% *}-$(basename "$archive" .tar).tar
    # Beside, then renamed, for the sake of a node that boots meanwhile.
    cp "$archive" "$kept.new"
    mv "$kept.new" "$kept"
  done
  for ((node = 0; node < NODES; node++)); do
    machine_is_on "n$node" || continue
    # shellcheck disable=SC2016 # The shell on the node expands it.
    machine_enter "n$node" env TESTBED_STATE=/testbed bash -c \
      'cd "$TESTBED_STATE/lib" && . ./settings.sh && . ./images.sh && images_import' ||
      die "node $node did not import the images" "testbed logs n$node.containerd"
  done
}
