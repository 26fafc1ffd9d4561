# A systemd as process 1 of namespaces of its own: boot.sh CGROUP CLONE. For test_systemd.py.
#
# It must not touch the machine: all that systemd or a service of the distribution would write to is
# replaced by empty memory (its tmpfiles would empty /tmp), and there are no units but ours.
set -e
if [ "$3" != inside ]; then
  echo $$ >"$1/cgroup.procs"
  exec unshare --fork --pid --mount --mount-proc --ipc --uts --net --cgroup --kill-child \
    sh "$0" "$1" "$2" inside
fi
units=/usr/lib/systemd/system
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/clone && mount --bind "$2" /mnt/clone
for each in /tmp /var/tmp /var/log /run /srv /etc/systemd/system; do mount -t tmpfs tmpfs "$each"; done
mkdir -p "$2" && mount --move /mnt/clone "$2"  # It may be in /tmp.
mount --bind /usr /usr
mount -o remount,bind,ro /usr
for each in $units $units-generators; do mount -t tmpfs tmpfs "$each"; done
mkdir -p /run/lock
for each in test sysinit basic multi-user network-online shutdown umount; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$each" >"$units/$each.target"
done
ip link set lo up
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
export container=docker  # It leaves the kernel's settings alone then.
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=0
