# What `shoal hosts` does on one host:  ssh HOST sh -s -- ACTION … <on-host.sh
#
#   install PYTHON online|offline   from ~/.shoal-hosts/wheels.tar into ~/.shoal-venv
#   start|state|stop CLUSTER SHOAL tracker|node NAME
#   run CLUSTER SHOAL ARGUMENT…     a shoal command, to its end
#
# SHOAL is the command, perhaps of several words. Pid and log files, the cluster file and what it
# names by relative paths are in ~/.shoal-hosts/CLUSTER. POSIX sh.
set -u

install() {
  python=$1 source=$2
  wheels=$(mktemp -d) && trap 'rm -rf "$wheels"' EXIT
  tar xf "$HOME/.shoal-hosts/wheels.tar" -C "$wheels" || return
  rm "$HOME/.shoal-hosts/wheels.tar"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail 2 "$python is not Python 3.11 or newer; name one with --python"
  # Anew: what another Python, or an older shoal, has left there would get in the way.
  # Debian's venv has no pip of its own without a further package: the host's works on it instead.
  "$python" -m venv --clear --without-pip "$HOME/.shoal-venv" || return
  if [ "$source" = online ]; then set --; else set -- --no-index --find-links "$wheels"; fi
  "$python" -m pip --python "$HOME/.shoal-venv/bin/python" --disable-pip-version-check \
    install --quiet --constraint "$wheels/constraints.txt" "$@" "$wheels"/shoal-*.whl || return
  echo "installed"
}

start() {
  is_running && echo "already running (pid $pid)" && return
  # shellcheck disable=SC2086  # A command of several words.
  nohup $shoal "$@" --config cluster.yaml >>"$name.log" 2>&1 &
  pid=$!
  echo "$pid" >"$name.pid"
  sleep 1  # What is wrong with a configuration shows in the first moment.
  # A zombie still takes signals, but has no command line.
  [ -n "$(command_line "$pid" 2>/dev/null)" ] && echo "started (pid $pid)" && return
  wait "$pid"
  code=$?
  rm -f "$name.pid"
  tail -n 5 "$name.log" >&2
  fail "$((code ? code : 1))" "ended at once; above is the end of $folder/$name.log"
}

state() {
  is_running || fail 4 "not running"
  echo "running (pid $pid)"
}

stop() {
  is_running || { rm -f "$name.pid"; echo "was not running"; return; }
  kill "$pid"
  tenths=0
  while is_running; do
    sleep 0.1
    tenths=$((tenths + 1))
    [ "$tenths" -eq 70 ] && kill -9 "$pid"  # It promises to end within 5 s.
    [ "$tenths" -eq 100 ] && fail 7 "does not end (pid $pid)"
  done
  rm -f "$name.pid"
  echo "stopped"
}

run() {
  # shellcheck disable=SC2086  # A command of several words.
  $shoal "$@" --config cluster.yaml
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
  echo "$2" >&2
  exit "$1"
}

main() {
  action=$1
  shift
  if [ "$action" = install ]; then install "$@"; return; fi
  PATH="$HOME/.shoal-venv/bin:$PATH"  # Not for install, whose python3 is another.
  folder="$HOME/.shoal-hosts/$1" shoal=$2
  shift 2
  cd "$folder" 2>/dev/null || fail 2 "no $folder here: nothing was started"
  role="$*" name=$(echo "$*" | tr ' ' -)
  "$action" "$@"
}

main "$@" </dev/null  # The shell reads this file from its standard input: nobody else may.
