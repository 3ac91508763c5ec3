# shellcheck shell=bash
# Machines: `cp`, the control plane, and `n0`, `n1` …, the nodes. A machine is a mount, pid, uts and ipc
# namespace below one init (machine-init.sh), in the network namespace of a node, with a folder as its disk:
#
#   STATE/n1/disk   the root of n1      STATE/n1/init, launcher   who to kill (pid, start time)
#
# SIGKILL to the init is a power cut: the kernel ends every process and every container with it, and all
# mounts go with their namespace. The disk stays, so a machine boots again where it was.

machine_boot() { # machine node
  local folder=$STATE/$1
  ! process_runs "$folder/init" || die "the machine is on: $1" "testbed status"
  mkdir -p "$folder/disk"
  rm -f "$folder/init"
  setsid env TESTBED_STATE="$STATE" PROGRAMS="$PROGRAMS" nsenter --net="$(network_path "$2")" -- \
    unshare --mount --uts --ipc --pid --fork --kill-child --propagation private -- \
    bash "$STATE/lib/machine-init.sh" "$1" "$2" </dev/null >>"$LOG/$1.init.log" 2>&1 &
  # At once, so that `down` can end it whatever happens from here on. Nothing between here and the init
  # forks but `unshare`, which takes its child with it.
  process_record $! >"$folder/launcher"
  wait_for 20 "the boot of $1" test -s "$folder/init"
}

machine_cut() { # machine
  local record
  for record in "$STATE/$1/init" "$STATE/$1/launcher"; do
    process_kill "$record"
  done
}

machine_is_on() { # machine
  process_runs "$STATE/$1/init"
}

machine_enter() { # machine command…
  local pid
  machine_is_on "$1" || die "the machine is off: $1" "testbed node N boot, or: testbed control-plane boot"
  read -r pid _ <"$STATE/$1/init"
  nsenter --target "$pid" --mount --uts --ipc --net --pid -- "${@:2}"
}

# A process is known by its pid and when it began: a pid alone may be somebody else's by now.
process_record() { # pid
  echo "$1 $(process_field "$1" 22)"
}

# Fields are counted as in proc(5); those from the third on can be had.
process_field() { # pid field
  local line fields
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  # The second is a name in parentheses, which may hold anything.
  read -ra fields <<<"${line##*) }"
  echo "${fields[$2 - 3]}"
}

process_runs() { # file of a record
  local pid began now
  [ -s "$1" ] || return 1
  read -r pid began <"$1"
  now=$(process_field "$pid" 22) || return 1
  # One that has ended may still wait for its parent to notice: Z.
  [ "$now" = "$began" ] && [ "$(process_field "$pid" 3)" != Z ]
}

process_ended() { # file of a record
  ! process_runs "$1"
}

process_kill() { # file of a record
  local pid
  if process_runs "$1"; then
    read -r pid _ <"$1"
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 30 "the end of process $pid" process_ended "$1"
  fi
  rm -f "$1"
}
