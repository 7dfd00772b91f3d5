# shellcheck shell=bash
# A Podman of the tests' own: service, storage and configuration in one temporary folder, so that nothing of
# the host's Podman is touched; and another one, rootless, of a user made for it. To be sourced after
# engine.sh. Exports SANDKEEPER_TEST_PODMAN and SANDKEEPER_TEST_PODMAN_ROOTLESS, their sockets.

podman_home=
podman_pid=

# Podman with the tests' storage, as root.
podman_cli() {
    as_root env CONTAINERS_CONF="$podman_home/containers.conf" podman \
        --root "$podman_home/root" --runroot "$podman_home/run" --tmpdir "$podman_home/tmp" "$@"
}

need_podman() {
    # The network needs one of two back ends, and an init process is asked for with every sandbox.
    apt_install podman runc catatonit netavark aardvark-dns iptables procps
    podman_home=$(mktemp -d "${TMPDIR:-/tmp}/sandkeeper-podman-XXXXXX")
    # runc, for crun does not start on hosts with both versions of cgroups; limits that every host has;
    # no systemd; another network than the host's own Podman has.
    cat >"$podman_home/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "$podman_home/networks"
default_subnet = "10.213.88.0/24"
CONF
    # The second try is for hosts without overlayfs.
    start_podman || start_podman --storage-driver vfs || {
        tail -n 20 "$podman_home/log" >&2
        die "podman system service does not come up; above is the end of its log"
    }
    export SANDKEEPER_TEST_PODMAN=$podman_home/podman.sock
    say "engine: $(podman --version) at $SANDKEEPER_TEST_PODMAN (process $podman_pid)"
}

start_podman() {
    local socket=$podman_home/podman.sock try
    # shellcheck disable=SC2016 # it is for the inner shell
    as_root env CONTAINERS_CONF="$podman_home/containers.conf" setsid --fork sh -c \
        'echo $$ >"$0/pid"; exec podman "$@"' "$podman_home" \
        --root "$podman_home/root" --runroot "$podman_home/run" --tmpdir "$podman_home/tmp" "$@" \
        system service --time 0 "unix://$socket" </dev/null >"$podman_home/log" 2>&1
    for try in $(seq 1 60); do
        if [ -S "$socket" ]; then
            podman_pid=$(cat "$podman_home/pid")
            as_root chown "$(id -u)" "$socket"
            return 0
        fi
        # One that has given up will not listen.
        [ "$try" -lt 5 ] || [ -d "/proc/$(cat "$podman_home/pid")" ] || return 1
        sleep 0.5
    done
    as_root kill "$(cat "$podman_home/pid")" || true
    return 1
}

# Removes the tests' Podman with everything that is in it.
stop_podman() {
    [ -n "$podman_home" ] || return 0
    podman_cli rm --all --force --time 0 >/dev/null 2>&1 || true
    # Monitors of commands that have ended stay for five minutes, and then clean up in a folder that is gone.
    pgrep -f "conmon .*$podman_home/" | as_root xargs --no-run-if-empty kill -s KILL 2>/dev/null || true
    [ -z "$podman_pid" ] || as_root kill "$podman_pid" 2>/dev/null || true
    as_root umount "$podman_home/root/overlay" 2>/dev/null || true
    as_root rm -rf "$podman_home" || true
    podman_home=
}

rootless_home=
rootless_user=

# A user of its own with subordinate ids, and its Podman. It listens where a user's Podman listens:
# podman/podman.sock in its XDG_RUNTIME_DIR, which is the folder of the socket's folder.
need_rootless_podman() {
    apt_install podman runc catatonit netavark aardvark-dns iptables procps uidmap slirp4netns passwd
    rootless_home=$(mktemp -d "${TMPDIR:-/tmp}/sandkeeper-rootless-XXXXXX")
    rootless_user=sk-test-$$
    # Also gives it subordinate ids, where login.defs does not forbid that.
    as_root useradd --user-group --no-create-home --home-dir "$rootless_home/home" --shell /bin/sh "$rootless_user"
    if ! grep -q "^$rootless_user:" /etc/subuid || ! grep -q "^$rootless_user:" /etc/subgid; then
        as_root usermod --add-subuids 524288-589823 --add-subgids 524288-589823 "$rootless_user"
    fi
    mkdir -p "$rootless_home"/{home,tmp,run/podman}
    # As of the host's, but for limits, of which a user may have less, and storage, for want of overlayfs.
    cat >"$rootless_home/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
default_subnet = "10.213.89.0/24"
CONF
    chmod 755 "$rootless_home"
    as_root chown -R "$rootless_user:" "$rootless_home"/{home,tmp,run}
    as_root chmod 700 "$rootless_home/run"
    start_rootless_podman || {
        as_root tail -n 20 "$rootless_home/home/log" >&2
        die "the rootless podman system service does not come up; above is the end of its log"
    }
    # Tests need not be root to speak to it.
    if [ "$(id -u)" -ne 0 ]; then
        as_root chmod 711 "$rootless_home/run"
        as_root chmod 666 "$rootless_home/run/podman/podman.sock"
    fi
    export SANDKEEPER_TEST_PODMAN_ROOTLESS=$rootless_home/run/podman/podman.sock
    say "engine: rootless $(podman --version) of $rootless_user at $SANDKEEPER_TEST_PODMAN_ROOTLESS"
}

# In mounts of its own, with a device for user-mode networks that everybody may use: some hosts keep it to root.
start_rootless_podman() {
    local socket=$rootless_home/run/podman/podman.sock
    # shellcheck disable=SC2016 # it is for the inner shell
    as_root env -i PATH="$PATH" setsid --fork unshare --mount --propagation private sh -c \
        'mount --make-rshared / && mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 &&
         cd / && exec setpriv --reuid "$1" --regid "$1" --clear-groups env HOME="$0/home" TMPDIR="$0/tmp" \
         XDG_RUNTIME_DIR="$0/run" CONTAINERS_CONF="$0/containers.conf" sh -c '"'"'exec podman \
         --storage-driver vfs system service --time 0 "unix://$0/run/podman/podman.sock" >"$0/home/log" 2>&1'"'"' "$0"' \
        "$rootless_home" "$rootless_user" </dev/null >/dev/null 2>&1
    for _ in $(seq 1 60); do
        ! as_root test -S "$socket" || return 0
        sleep 0.5
    done
    return 1
}

# Removes the rootless Podman with everything that is in it: what its user runs is its containers and itself.
stop_rootless_podman() {
    [ -n "$rootless_user" ] || return 0
    local try
    for try in $(seq 1 20); do
        # Not those that have ended and that nobody has asked for.
        pgrep -u "$rootless_user" -r DIRST >/dev/null || break
        pgrep -u "$rootless_user" -r DIRST | as_root xargs --no-run-if-empty kill -s KILL 2>/dev/null || true
        # Processes of a container have other ids, and end with its first one.
        sleep 0.2
    done
    [ "$try" -lt 20 ] || printf 'warning: processes of %s still run\n' "$rootless_user" >&2
    as_root userdel --force "$rootless_user" 2>/dev/null || true
    as_root rm -rf --one-file-system "$rootless_home" || true
    rootless_home='' rootless_user=''
}
