# What `shoal hosts` does on one host. It comes on ssh's standard input; data or silence follows it.
#
#   ask PYTHON…                     which Python, machine and bundles are here, as JSON
#   use HASH                        have the bundle of that name be the shoal of this host
#   install PYTHON HASH             the same, from a tar of packages on standard input
#   put FILE SIZE secret            from standard input into ~/.shoal-hosts/FILE, for nobody else
#   put FILE SIZE only NAME…        the same for all to read; other secrets than NAME's are removed
#   look CLUSTER PYTHON HOST PORT FOLDER ROLE          what it would find there, as JSON
#   start|state|stop CLUSTER SHOAL ROLE
#   service|unservice CLUSTER SHOAL UNIT ROLE          have systemd run it, or no longer
#   run CLUSTER SHOAL ARGUMENT…     a shoal command, to its end or that of standard input
#
# ROLE is `tracker`, `tracker --at ADDRESS` or `node NAME`; SHOAL the command, perhaps of several
# words. Pid and log files, the cluster file and what it names by relative paths are in
# ~/.shoal-hosts/CLUSTER. Homes may be on NFS: hosts have bundles in
# common, and each names the one that it uses in current.HOST. POSIX sh.
set -u
exec 3<&0 </dev/null  # Nobody reads the data, or waits for the silence, by mistake.
own=$HOME/.shoal-hosts
bundles=$own/bundle
here=$(uname -n)
next=$bundles/current.$here.$$.next launcher=$own/bin/.shoal.$here.$$  # Until they are renamed.

ask() {
  asked=
  for python in "$@"; do
    command -v "$python" >/dev/null || continue
    asked=$("$python" - "$bundles" <<'END'
import json, os, platform, sys, sysconfig
found = os.listdir(sys.argv[1]) if os.path.isdir(sys.argv[1]) else []
libc, version = platform.libc_ver()
if libc != "glibc":
    musl = [name for name in os.listdir("/lib") if name.startswith("ld-musl-")]
    libc, version = ("musl", "") if musl else (libc, version)
print(json.dumps({
    "python": sys.executable, "version": list(sys.version_info[:2]), "libc": libc,
    "implementation": platform.python_implementation() + getattr(sys, "abiflags", ""),
    "libc_version": version, "platform": sysconfig.get_platform(), "bundles": sorted(found),
}))
END
    ) || continue
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && break
  done
  [ -n "$asked" ] || fail 2 "there is no $1 there; install Python 3.11 or newer"
  echo "$asked"
}

# Sets $role, and $name as its files here are called.
name_role() {
  role="$*" name=$(echo "$*" | sed 's/ --at tcp:../-/; s/ /-/')
}

look() {
  folder=$own/$1 python=$2 host=$3 port=$4 files=$5
  shift 5
  name_role "$@"
  ours=$(cd "$folder" 2>/dev/null && { is_running || is_served; } && echo yes)
  has=$([ -x "$bundles/$(cat "$bundles/current.$here" 2>/dev/null)/shoal" ] && echo yes)
  "$python" - "$host" "$port" "$folder" "$files" "$ours" "$has" <<'END'
import errno, json, os, socket, sys
host, port, folder, files, ours, has = sys.argv[1:]
state = "ours" if ours else "free"
try:
    found = [] if ours else socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
except OSError as error:
    state = "taken" if error.errno == errno.EADDRINUSE else "no address of this host"
place = os.path.join(folder, os.path.expanduser(files))
while not os.path.exists(place):
    place = os.path.dirname(place)
room = os.statvfs(place)
print(json.dumps({
    "port": state, "free_bytes": room.f_bavail * room.f_frsize, "is_installed": bool(has),
    "place": place, "may_write": os.access(place, os.W_OK) and os.path.isdir(place),
}))
END
}

install() {
  python=$1 hash=$2
  umask go-w
  new=$bundles/.new-$here-$$
  leave_nothing
  mkdir -p "$new/lib" && tar -xzof - -C "$new/lib" <&3 || fail 8 "cannot unpack shoal in $bundles"
  cat >"$new/shoal.py" <<'END'
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from shoal.__main__ import main
main()
END
  { echo "#!/bin/sh" && echo "exec '$python' -I '$bundles/$hash/shoal.py' \"\$@\""; } >"$new/shoal"
  chmod 755 "$new/shoal" || fail 8 "cannot write in $bundles"
  said=$("$python" -I -c 'import sys; sys.path.insert(0, sys.argv[1])
import shoal.cli, shoal.node.agent, shoal.broker.server' "$new/lib" 2>&1) ||
    fail 2 "shoal does not run with $python there: $(echo "$said" | tail -n 1)"
  echo "$hash" >"$next" || fail 8 "cannot write in $bundles"
  # Of hosts with one home one is the first.
  "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$new" "$bundles/$hash" 2>/dev/null
  use "$hash" || fail 8 "cannot rename $new to $hash"
  echo "installed"
}

use() {
  leave_nothing
  # Named before it is looked at: another host, with this home, may be removing what nobody uses.
  echo "$1" >"$next" && [ -x "$bundles/$1/shoal" ] || return 3
  mkdir -p "$own/bin" && cat >"$launcher" <<'END'
#!/bin/sh
bundles=$HOME/.shoal-hosts/bundle
hash=$(cat "$bundles/current.$(uname -n)" 2>/dev/null) && exec "$bundles/$hash/shoal" "$@"
echo "error: shoal is not installed on $(uname -n); run \`shoal hosts up\`" >&2
exit 2
END
  chmod 755 "$launcher" && mv -f "$launcher" "$own/bin/shoal" &&
    mv -f "$next" "$bundles/current.$here" ||
    fail 8 "cannot write in $own"
  tidy
}

leave_nothing() {
  trap 'rm -rf "${new:-$next}" "$next" "$launcher"' EXIT
  trap 'exit 143' HUP TERM INT PIPE
}

# Removes the bundles that no host has as its own, and from which nothing was started.
tidy() {
  for old in "$bundles"/* "$bundles/.new-$here-"*; do
    name=${old##*/}
    [ -d "$old" ] || continue
    case $name in .new-*) kill -0 "${name##*-}" 2>/dev/null && continue ;; esac
    grep -q -s -x -F -e "$name" "$bundles"/current.* "$own"/*/*.bundle && continue
    echo "$old/" | grep -q -s -F -f - /proc/[0-9]*/cmdline && continue
    rm -rf "$old"
  done
}

put() {
  to=$own/$1 size=$2
  shift 2
  folder=$(dirname "$to")
  umask go-w
  if [ "$1" = secret ]; then
    umask 077 && mkdir -p "$folder" && chmod 700 "$folder"
  else
    mkdir -p "$folder"
  fi || fail 8 "cannot make $folder"
  new="$to.new.$$"  # The shell's number: a host may be sent it by two names.
  { cat <&3 >"$new" && [ "$(wc -c <"$new")" -eq "$size" ] && mv -f "$new" "$to"; } ||
    { rm -f "$new"; fail 8 "cannot write $to"; }
  [ "$1" = secret ] || remove_secrets_but "$@"
}

# Removes all secrets of the cluster in $folder but those of the names.
remove_secrets_but() {
  for old in "$folder/cluster.keys"/*; do
    name=${old##*/}
    for kept in "$@"; do [ "$name" != "$kept.key" ] || continue 2; done
    rm -f "$old"
  done
}

service() {
  require_shoal
  program=$(command -v "${shoal%% *}")
  case $shoal in *" "*) program="$program ${shoal#* }" ;; esac
  manage_service --install --shoal "$program"
  echo "$unit" >"$name.service" || fail 8 "cannot write in $folder"
  is_running && said="$said; it still runs without it (pid $pid): stop and start it"
  echo "$said"
}

unservice() {
  [ -e "$name.service" ] || { echo "is no service"; return; }
  require_shoal
  unit=$(cat "$name.service")
  manage_service --remove
  rm -f "$name.service"
  echo "$said"
}

# Sets $said to what `shoal service` says, its reason if it fails.
manage_service() {
  own_systemd
  # shellcheck disable=SC2086  # A command of several words.
  said=$($shoal service ${role#node } --config cluster.yaml --unit "$unit" "$@" 2>"$name.said")
  code=$?
  reason=$(sed -n 's/^error: //p' "$name.said")
  rm -f "$name.said"
  [ "$code" -eq 0 ] || fail "$code" "$reason"
}

# Without a session of logind nobody has told where the user's own systemd is.
own_systemd() {
  export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
}

manage() {
  own_systemd
  if [ "$(id -u)" -eq 0 ]; then systemctl "$@"; else systemctl --user "$@"; fi
}

# Whether systemd runs it now; sets $unit, $main and $pid, which is empty if it does not.
is_served() {
  unit=$(cat "$name.service" 2>/dev/null) || return
  pid=
  main=$(manage show -p MainPID --value "$unit" 2>/dev/null)
  [ "${main:-0}" -gt 0 ] 2>/dev/null && manage is-active -q "$unit" && pid=$main
}

start_service() {
  is_running && kill -HUP "$pid" && echo "already running (pid $pid) without its service $unit;" \
    "it reads the cluster file again: stop and start it" && return
  if is_served; then
    manage reload "$unit" || fail 1 "$unit cannot be reloaded; see \`journalctl -u $unit\`"
    if command_line "$pid" | grep -q -F -e "$bundles/" &&
      ! command_line "$pid" | grep -q -F -e "$bundles/$(cat "$bundles/current.$here")/"; then
      echo "already running as the service $unit; it is the shoal from before \`up\`: stop and start it"
    else
      echo "already running as the service $unit (pid $pid); reads the cluster file again"
    fi
    return
  fi
  said=$(manage start "$unit" 2>&1) && is_served && echo "started as the service $unit (pid $pid)" &&
    return
  code=$(manage show -p ExecMainStatus --value "$unit" 2>/dev/null)
  fail "$((code ? code : 1))" "$(echo "$said" | tail -n 1); see \`journalctl -u $unit\` there"
}

start() {
  if [ -e "$name.service" ]; then
    unit=$(cat "$name.service")
    start_service
    return
  fi
  is_running && kill -HUP "$pid" && echo "already running (pid $pid); $(again)" && return
  require_shoal
  cp "$bundles/current.$here" "$name.bundle" 2>/dev/null
  # shellcheck disable=SC2086  # A command of several words.
  nohup $shoal "$@" --config cluster.yaml >>"$name.log" 2>&1 3<&- &
  pid=$!
  echo "$pid" >"$name.pid"
  sleep 1  # What is wrong with a configuration shows in the first moment.
  # A zombie still takes signals, but has no command line.
  [ -n "$(command_line "$pid" 2>/dev/null)" ] && echo "started (pid $pid)" && return
  wait "$pid"
  code=$?
  rm -f "$name.pid" "$name.bundle"
  said=$(tail -n 20 "$name.log" | sed -n 's/^.*error: //p' | tail -n 1)
  said=${said:-$(tail -n 1 "$name.log")}
  fail "$((code ? code : 1))" "${said:-no reason given}; it ended at once, its log is $folder/$name.log"
}

again() {
  if [ -e "$name.bundle" ] && ! cmp -s "$name.bundle" "$bundles/current.$here"; then
    echo "it is the shoal from before \`up\`: stop and start it"
  else
    echo "reads the cluster file again"
  fi
}

state() {
  is_served && echo "running as the service $unit (pid $pid)" && return
  without=
  [ -e "$name.service" ] && without=" without its service $unit: stop and start it"
  is_running && echo "running (pid $pid)$without" && return
  [ -e "$name.service" ] && fail 4 "not running; its service $unit is $(manage is-active "$unit")"
  fail 4 "not running"
}

stop() {
  if is_served; then
    manage stop "$unit" || fail 7 "$unit does not end; see \`journalctl -u $unit\` there"
    is_running || { echo "stopped; the service $unit starts again with the machine"; return; }
  fi
  is_running || { rm -f "$name.pid" "$name.bundle"; echo "was not running"; return; }
  kill "$pid"
  tenths=0
  while is_running; do
    sleep 0.1
    tenths=$((tenths + 1))
    [ "$tenths" -eq 70 ] && kill -9 "$pid"  # It promises to end within 5 s.
    [ "$tenths" -eq 100 ] && fail 7 "does not end (pid $pid)"
  done
  rm -f "$name.pid" "$name.bundle"
  echo "stopped"
}

# Standard input ends when the one who asked is gone, even if it was killed or the cable was pulled.
run() {
  require_shoal
  # shellcheck disable=SC2086  # A command of several words.
  $shoal "$@" --config cluster.yaml 3<&- &
  pid=$!
  { while read -r _; do :; done; kill "$pid"; sleep 5; kill -9 "$pid"; } <&3 >/dev/null 2>&1 &
  watcher=$!
  exec 3<&-
  wait "$pid"
  code=$?
  kill "$watcher" 2>/dev/null
  return "$code"
}

require_shoal() {
  command -v "${shoal%% *}" >/dev/null ||
    fail 2 "$shoal is not installed there; run \`shoal hosts up\`"
}

# A pid file that outlived a reboot may name a stranger, so the process must be what was started.
is_running() {
  pid=$(cat "$name.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && command_line "$pid" |
    grep -q -F -e "$role --config cluster.yaml"
}

command_line() {
  if [ -r "/proc/$1/cmdline" ]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -o args= -p "$1"; fi
}

fail() {
  echo "error: $2" >&2
  exit "$1"
}

main() {
  action=$1
  shift
  case $action in ask | look | use | install | put) "$action" "$@"; return ;; esac
  PATH="$own/bin:$PATH"  # Not for those above, whose python3 is another.
  folder="$own/$1" shoal=$2
  shift 2
  case $action in service | unservice) unit=$1 && shift ;; esac
  cd "$folder" 2>/dev/null || fail 2 "no $folder here: nothing was started"
  name_role "$@"
  "$action" "$@"
}

main "$@"
