# Sourced by the other scripts: a place to say things, packages of the system, the project's own environment.

export DEBIAN_FRONTEND=noninteractive
# A company's CA bundle, whichever of its usual names it was given by.
for bundle in "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" "${REQUESTS_CA_BUNDLE:-}"; do
    [ -n "$bundle" ] && export SSL_CERT_FILE="$bundle" PIP_CERT="$bundle" && break
done

say() { printf '%s\n' "── $*" >&2; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        fail "this needs root: $*" "Run the script as root, or install sudo."
    fi
}

missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s\n' "$package"
    done
}

# Install those of the system's packages that are missing.
need_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}" "Install them with this system's package manager."
    say "installing ${missing[*]}"
    local apt=(apt-get -o DPkg::Lock::Timeout=300 --quiet --quiet --yes)
    as_root "${apt[@]}" update >/dev/null
    as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" >/dev/null
}

# The same for packages of which the programs alone are wanted: their services neither start now nor at the next boot.
need_programs() (
    missing="$(missing_packages "$@")"
    [ -n "$missing" ] || exit 0
    policy=/usr/sbin/policy-rc.d # what packages ask before they start a service
    if [ ! -e "$policy" ]; then
        trap 'as_root rm --force "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    need_packages "$@"
    command -v systemctl >/dev/null || exit 0
    dpkg-query --listfiles $missing | sed -n 's,.*/lib/systemd/system/\([^/@]*\),\1,p' | while read -r unit; do
        as_root systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
    done
)

# make_environment EXTRA: the project with that extra in .venv. Does nothing where the same was done before.
make_environment() {
    local extra="$1" stamp
    stamp="$extra $(cat pyproject.toml constraints.txt | sha256sum)"
    # `dev` contains `server`: what tests need serves the suite too.
    if [ -x .venv/bin/binder-control ] && grep --quiet --fixed-strings --line-regexp \
        --regexp="$stamp" --regexp="dev ${stamp#* }" .venv/stamp 2>/dev/null; then
        return
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed; this is $(python3 --version)"
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    say "making .venv"
    [ -x .venv/bin/python ] || python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        # uv doesn't read pip's settings.
        local index
        index="${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}"
        [ -n "$index" ] && export UV_DEFAULT_INDEX="$index"
    fi
    .venv/bin/uv pip install --quiet --python .venv/bin/python --constraint constraints.txt --editable ".[$extra]"
    printf '%s\n' "$stamp" >.venv/stamp
}

engine_answers() { docker version >/dev/null 2>&1; }

# Run a command that speaks to the engine. Membership of the group docker counts from the next login: until then by sg.
with_engine() {
    if engine_answers || [ "$(id -u)" = 0 ] || ! id --name --groups "$(id -un)" | grep --quiet --word-regexp docker ||
        id --name --groups | grep --quiet --word-regexp docker; then
        "$@"
    else
        sg docker -c "$(printf '%q ' "$@")"
    fi
}
