#!/usr/bin/env bash
# The init of a machine: makes its root, then starts and restarts what belongs on it.
#
#   machine-init.sh cp|n<i> <node>      run by machine_boot, in namespaces of its own
#
# The root is a folder of the machine's own, the disk. The host's programs and devices are mounted into it;
# /usr and /etc read-only, so that no machine writes to the host. Paths are then the usual ones
# (/var/lib/kubelet, /run/containerd …) and yet not shared by anybody.
set -euo pipefail
machine=$1 node=$2
state=$TESTBED_STATE
disk=$state/$machine/disk

# The host's /proc is still mounted: this process has the pid there that the host knows it by. A builtin
# reads it, as a child would read its own.
read -r stat </proc/self/stat
read -ra fields <<<"${stat##*) }"
record="${stat%% *} ${fields[22 - 3]}"

mkdir -p "$disk"/{dev,etc,old-root,proc,programs,root,run,sys,testbed,usr} \
  "$disk"/var/{lib,log,tmp} "$disk/tmp/hostpath_pv"
chmod 1777 "$disk/tmp"
# Runtime state must not outlive a power cut, whichever of its two names it is written by.
ln -sfn /run "$disk/var/run"
mount --bind "$disk" "$disk"
for folder in dev etc sys usr; do
  mount --rbind "/$folder" "$disk/$folder"
done
for folder in bin lib lib32 lib64 libx32 sbin; do
  if [ -L "/$folder" ]; then
    ln -sfn "$(readlink "/$folder")" "$disk/$folder"
  elif [ -d "/$folder" ]; then
    mkdir -p "$disk/$folder"
    mount --bind "/$folder" "$disk/$folder"
  fi
done
mount -o remount,bind,ro "$disk/usr"
mount -o remount,bind,ro "$disk/etc"
mount -t proc proc "$disk/proc"
mount -t tmpfs -o mode=755 tmpfs "$disk/run"
mount --bind "$state" "$disk/testbed"
mount --bind "$PROGRAMS" "$disk/programs"
mount --bind "$state/volumes" "$disk/tmp/hostpath_pv"
cd "$disk"
pivot_root . old-root
cd /
umount --lazy /old-root
rmdir /old-root
# Kubelets and containers pass mounts on to each other, as on any host.
mount --make-rshared /
hostname "$machine"

export TESTBED_STATE=/testbed PROGRAMS=/programs PATH=/programs:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
for noun in settings node control-plane images storage; do
  . "$TESTBED_STATE/lib/$noun.sh"
done

# Runs a program, again and again, as an init with a restart policy does.
supervise() { # name command…
  local name=$1
  shift
  while :; do
    "$@" >>"$LOG/$machine.$name.log" 2>&1 &
    echo $! >"/run/$name.pid"
    wait $! || true
    echo "testbed: $name ended, it is started again" >>"$LOG/$machine.$name.log"
    sleep 0.5
  done &
}

echo "$record" >"$STATE/$machine/init.new"
mv "$STATE/$machine/init.new" "$STATE/$machine/init"
if [ "$machine" = cp ]; then
  control_plane_run
else
  node_run "$node"
fi
# An init that ends is a power cut. Orphans are reaped by bash itself.
trap : TERM INT HUP
while :; do
  wait || true
  sleep 1
done
