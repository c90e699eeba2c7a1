#!/bin/sh
# Makes a private root directory with a real Asterisk and SIPp in it, for machines without Docker.
#
#   root.sh [DIR]     DIR defaults to ${SIDETONE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidetone}/asterisk-root
#   root.sh --path    only prints where the root would be
#
# The last line on stdout is the path of the finished root; everything else goes to stderr.
# A finished root is reused. Two callers at once are safe: the second waits for the first.
# Exit codes: 0 done, 64 wrong usage, 69 something is missing that this script may not install, else a step failed.
set -eu

# Raise this number whenever a change below must make existing roots be built anew.
RECIPE=2
SUITE=forky
PACKAGES="asterisk asterisk-modules asterisk-core-sounds-en asterisk-core-sounds-en-wav sip-tester"

say() { echo "root.sh: $*" >&2; }
missing() {
    say "cannot make the Asterisk root: $*"
    exit 69
}

dir=${SIDETONE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sidetone}/asterisk-root
case ${1-} in
--path)
    echo "$dir"
    exit 0
    ;;
-*)
    say "usage: root.sh [DIR] | --path"
    exit 64
    ;;
?*) dir=$1 ;;
esac
[ $# -le 1 ] || {
    say "usage: root.sh [DIR] | --path"
    exit 64
}

complete() { [ "$(cat "$dir/etc/sidetone-recipe" 2>/dev/null || true)" = "$RECIPE" ]; }

# Before anything else, so that a finished root needs neither privileges nor tools.
if complete; then
    echo "$dir"
    exit 0
fi

[ "$(id -u)" = 0 ] || missing "it needs root (debootstrap and chroot); run: sudo $0 $dir"
command -v flock >/dev/null || missing "flock is not installed; run: apt-get install util-linux"
command -v apt-get >/dev/null || missing "apt-get is not there: this script works on Debian only"

parent=$(dirname "$dir")
mkdir -p "$parent"
parent=$(cd "$parent" && pwd)
dir=$parent/$(basename "$dir")
partial=$dir.partial

exec 9>"$dir.lock"
flock -n 9 || {
    say "another caller is making $dir, waiting for it"
    flock 9
}
if complete; then
    echo "$dir"
    exit 0
fi

# `rm` must never walk into a /proc that an interrupted run left mounted.
discard() {
    for mount in proc sys dev/pts dev; do
        if mountpoint -q "$1/$mount" 2>/dev/null; then umount "$1/$mount"; fi
    done
    rm -rf --one-file-system "$1"
}

if ! command -v debootstrap >/dev/null; then
    say "installing debootstrap"
    { apt-get install -y --no-install-recommends debootstrap ||
        { apt-get update && apt-get install -y --no-install-recommends debootstrap; }; } >&2 ||
        missing "debootstrap is not installed and apt could not install it; run: apt-get install debootstrap"
fi

# The mirror that this machine's apt already uses. Before the first `apt-get update` apt does not know whose it is.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        grep -v -e security -e debug | head -n 1
}
mirror=$(mirror)
if [ -z "$mirror" ]; then
    apt-get update >&2 || true
    mirror=$(mirror)
fi
[ -n "$mirror" ] ||
    missing "apt has no Debian archive among its sources (/etc/apt/sources.list and sources.list.d)"
proxy=
eval "$(apt-config shell proxy Acquire::http::Proxy)"
if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
    http_proxy=${http_proxy:-$proxy}
    export http_proxy
fi

# An older debootstrap has no script named after a newer suite; `sid` builds every suite since.
script=sid
if [ -e "/usr/share/debootstrap/scripts/$SUITE" ]; then script=$SUITE; fi

say "making $dir (one to three minutes)"
discard "$partial"
debootstrap --variant=minbase --include=ca-certificates "$SUITE" "$partial" "$mirror" \
    "/usr/share/debootstrap/scripts/$script" >&2 || {
    say "debootstrap failed; its log: $partial/debootstrap/debootstrap.log"
    exit 1
}

# No package may start a service in there.
printf '#!/bin/sh\nexit 101\n' >"$partial/usr/sbin/policy-rc.d"
chmod 755 "$partial/usr/sbin/policy-rc.d"

# A mirror's snapshot may be older than the index says it may be, hence Check-Valid-Until.
# shellcheck disable=SC2086
chroot "$partial" env DEBIAN_FRONTEND=noninteractive LC_ALL=C sh -eu -c '
    apt="apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3"
    $apt update
    $apt install -y --no-install-recommends "$@"
    apt-get clean
    rm -rf /var/lib/apt/lists/*
' sh $PACKAGES >&2 || {
    say "installing the packages failed (see above)"
    exit 1
}

# What the tests stand on, checked now instead of in the middle of a test.
chroot "$partial" asterisk -V >&2
sound=$(find "$partial/usr/share/asterisk/sounds/" -name 'demo-congrats.wav' | head -n 1)
[ -n "$sound" ] || {
    say "the sound package installed no demo-congrats.wav"
    exit 1
}
[ -x "$partial/usr/bin/sipp" ] || {
    say "sip-tester installed no /usr/bin/sipp"
    exit 1
}

echo "$RECIPE" >"$partial/etc/sidetone-recipe"
discard "$dir"
mv "$partial" "$dir"
say "done"
echo "$dir"
