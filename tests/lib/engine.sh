# shellcheck shell=bash
# What ./tests/run and ./examples/quickstart/run share: packages, the engine, the image. To be sourced.

say() { printf '==> %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*. Run it as root, or install sudo"
    fi
}

apt_updated=no

# apt_install PACKAGE...: installs those that are missing.
apt_install() {
    local package missing=()
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "please install by hand: ${missing[*]}"
    say "installing ${missing[*]}"
    if [ "$apt_updated" = no ]; then
        as_root apt-get update -q </dev/null >/dev/null
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

need_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"
    apt_install gcc libc6-dev
}

engine_host() { printf '%s' "${DOCKER_HOST:-unix:///var/run/docker.sock}"; }

# The command and the daemon must speak to the same engine, whatever docker's contexts say.
docker_cli() { command docker --host "$(engine_host)" "$@"; }

engine_answers() {
    command -v docker >/dev/null && docker_cli version >/dev/null 2>&1
}

engine_log=
engine_pid=

# Finds an engine that answers, or installs Docker and starts it.
need_engine() {
    if ! command -v docker >/dev/null; then
        apt_install docker.io
        # Where the client is a package of its own.
        command -v docker >/dev/null || apt_install docker-cli
    fi
    if ! engine_answers; then
        [ -z "${DOCKER_HOST:-}" ] ||
            die "the engine at DOCKER_HOST=$DOCKER_HOST does not answer: $(docker_cli version 2>&1 | tail -n 1)"
        [ ! -S /var/run/docker.sock ] || [ -w /var/run/docker.sock ] || die_not_allowed
        start_engine
        [ -w /var/run/docker.sock ] || die_not_allowed
    fi
    say "engine: Docker $(docker_cli version --format '{{.Server.Version}}') at $(engine_host)"
}

die_not_allowed() {
    die "you may not use the engine's socket, /var/run/docker.sock: run this as root, or say" \
        "'sudo usermod -aG docker $(id -un)' and log in again"
}

start_engine() {
    command -v dockerd >/dev/null || apt_install docker.io
    if [ -d /run/systemd/system ]; then
        say "starting docker.service"
        as_root systemctl start docker.service || die "docker.service does not start: see journalctl -u docker"
        wait_for_engine || die "docker.service runs, but does not answer: see journalctl -u docker"
        return
    fi
    # No service manager (a container, say): by hand. The second try is for hosts without overlayfs.
    start_dockerd || start_dockerd --storage-driver vfs || {
        tail -n 20 "$engine_log" >&2
        die "dockerd does not come up; above is the end of its log, $engine_log"
    }
    say "started dockerd by hand (process $engine_pid, log $engine_log)"
}

start_dockerd() {
    engine_log=$(mktemp "${TMPDIR:-/tmp}/sandkeeper-dockerd-XXXXXX.log")
    # The socket goes to the caller's group, so that no second login is needed.
    as_root setsid --fork dockerd --group "$(id -gn)" --pidfile "$engine_log.pid" "$@" \
        </dev/null >"$engine_log" 2>&1
    if wait_for_engine; then
        engine_pid=$(cat "$engine_log.pid")
        return 0
    fi
    [ ! -s "$engine_log.pid" ] || as_root kill "$(cat "$engine_log.pid")" || true
    return 1
}

wait_for_engine() {
    local try
    for try in $(seq 1 120); do
        ! engine_answers || return 0
        # A dockerd that has given up will not answer.
        [ "$try" -lt 10 ] || ! grep -q '^failed to start daemon' "${engine_log:-/dev/null}" || return 1
        sleep 0.5
    done
    return 1
}

# Stops the engine, if start_engine started it by hand.
stop_engine() {
    [ -n "$engine_pid" ] || return 0
    as_root kill "$engine_pid" 2>/dev/null || true
    for _ in $(seq 1 60); do
        if ! [ -d "/proc/$engine_pid" ]; then
            as_root rm -f "$engine_log" "$engine_log.pid"
            engine_pid=
            return 0
        fi
        sleep 0.5
    done
    printf 'warning: dockerd, process %s, still runs\n' "$engine_pid" >&2
}

# make_image NAME [CHANGE]...: imports a static busybox as an image, from no registry. CHANGEs are
# Dockerfile instructions as `docker import --change` takes them.
make_image() {
    local name=$1 applet root change changes=()
    shift
    apt_install busybox-static
    root=$(mktemp -d)
    chmod 755 "$root"
    mkdir -p "$root/bin" "$root/www"
    mkdir -m 1777 "$root/tmp"
    cp /bin/busybox "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    for change in "$@"; do changes+=(--change "$change"); done
    tar -C "$root" --owner 0 --group 0 -c . | docker_cli import "${changes[@]}" - "$name" >/dev/null
    rm -rf "$root"
}

# remove_containers PREFIX: removes every container whose name starts with it.
remove_containers() {
    container_names | grep -E "^$1" | remove_named || true
}

# remove_leftovers: removes what tests that no longer run have left. The names that tests give hold the
# number of their process, so another run on the same engine loses nothing.
remove_leftovers() {
    container_names | left_behind | remove_named || true
    image_names | left_behind | xargs --no-run-if-empty \
        docker --host "$(engine_host)" image rm >/dev/null 2>&1 || true
    remove_private_engines
}

# Engines that tests start for themselves end with the test, whatever happens to it. What can be left of
# one are its folder and its control groups.
remove_private_engines() {
    local path pid
    for path in "${TMPDIR:-/tmp}"/sk-engine-* /sys/fs/cgroup/sk-engine-* /sys/fs/cgroup/*/sk-engine-*; do
        [ -d "$path" ] || continue
        [[ ${path##*/} =~ ^sk-engine-[a-z]+-([0-9]+) ]] || continue
        pid=${BASH_REMATCH[1]}
        ! [ -d "/proc/$pid" ] || continue
        case $path in
            /sys/*) as_root find "$path" -depth -type d -exec rmdir {} + || true ;;
            *) as_root rm -rf --one-file-system "$path" ;;
        esac
    done
}

left_behind() {
    local name
    while read -r name; do
        if [[ $name =~ ^(sk-e2e-[a-z]+|sk-bench|sk-soak|sandkeeper-test)-([0-9]+)[-:] ]] &&
            ! [ -d "/proc/${BASH_REMATCH[2]}" ]; then
            printf '%s\n' "$name"
        fi
    done
}

image_names() { docker_cli image ls --format '{{.Repository}}:{{.Tag}}'; }

container_names() { docker_cli ps --all --format '{{.Names}}'; }

remove_named() {
    xargs --no-run-if-empty --max-args 16 --max-procs 4 \
        docker --host "$(engine_host)" rm --force --volumes >/dev/null 2>&1
}
