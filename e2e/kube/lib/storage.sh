# shellcheck shell=bash
# Volumes on the control plane's side. The classes are declared in manifests/storage.yaml:
#
#   hostpath     a folder that all machines see, as a network disk: a pod finds it on any node.
#                The controller manager makes it in /tmp/hostpath_pv, which it does not let one choose.
#   local-path   a folder on the disk of one node. local-path-provisioner makes it, through a pod there.

# The controller manager makes folders for root alone, and volumes of the kind hostPath know no fsGroup: they
# are opened for pods that do not run as root.
storage_open_volumes() {
  local volume nothing
  local -A opened=()
  # Waiting for what never comes is a sleep without a process.
  exec {nothing}<> <(:)
  while :; do
    for volume in /tmp/hostpath_pv/*/; do
      [ -d "$volume" ] && [ -z "${opened[$volume]:-}" ] || continue
      # It may have been deleted just now.
      chmod 0777 "$volume" 2>/dev/null && opened[$volume]=yes
    done
    read -rt 0.1 -u "$nothing" || true
  done
}

storage_provision() {
  supervise local-path-provisioner local-path-provisioner start \
    --kubeconfig "$PKI/local-path-provisioner.kubeconfig" --service-account-name local-path-helper \
    --helper-image "$BUSYBOX_IMAGE"
}
