#!/usr/bin/env bash
# First step of the action: puts the binary `git-pertask` on this machine and says where it is.
#
# From PERTASK_ACTION_VERSION and PERTASK_ACTION_SHA256, both may be empty, to the outputs `binary`
# and `sha256`. What is trusted are checksums.txt beside this file, and the source that the action
# came with; neither the server of the releases nor the tool cache is.
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=action/common.sh
. "$here/common.sh"
home=${here%/*}

# The first `NAME = "…"` of Cargo.toml.
of_package() {
    sed -n "/^$1 = /{s/^[^\"]*\"\([^\"]*\)\".*/\1/p;q;}" "$home/Cargo.toml"
}

# The hash that checksums.txt has for this name, if any.
known() {
    local hash name found=
    while read -r hash name; do
        [ "$name" = "$1" ] || continue
        is_hash "$hash" && [ -z "$found" ] || fail "action/checksums.txt is broken at $1"
        found=$hash
    done <"$here/checksums.txt"
    printf '%s' "$found"
}

use() {
    printf 'binary=%s\nsha256=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
    exit 0
}

: "${RUNNER_TEMP:?is not set: this is not a runner of GitHub Actions}" "${GITHUB_OUTPUT:?}"
own=$(of_package version)
version=${PERTASK_ACTION_VERSION:-$own}
version=${version#v}
wanted=${PERTASK_ACTION_SHA256:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$ ]] ||
    fail "input version: \"$version\" is no version such as $own"
[ -z "$wanted" ] || is_hash "$wanted" ||
    fail "input sha256: \"$wanted\" is no SHA-256, which has 64 digits of 0-9a-f"

case ${RUNNER_OS:-} in
Linux) system=unknown-linux-musl ;;
macOS) system=apple-darwin ;;
Windows) fail 'git-pertask does not support Windows yet. Let this job run on Linux or macOS: runs-on: ubuntu-latest' ;;
*) fail "git-pertask does not support the system \"${RUNNER_OS:-}\" (RUNNER_OS), only Linux and macOS" ;;
esac
case ${RUNNER_ARCH:-} in
X64) target=x86_64-$system arch=x64 ;;
ARM64) target=aarch64-$system arch=arm64 ;;
*) fail "git-pertask does not support the architecture \"${RUNNER_ARCH:-}\" (RUNNER_ARCH) on $RUNNER_OS, only X64 and ARM64" ;;
esac

name=git-pertask-$version-$target
archive_hash=$(known "$name.tar.gz")
binary_hash=$(known "$name/git-pertask")

# --- There is no release of this version for this system: from the source of the action itself.

if [ -z "$archive_hash$binary_hash" ]; then
    [ "$version" = "$own" ] ||
        fail "this action knows no checksum of git-pertask $version for $target; take the action of that release (uses: …@v$version), or leave the input version out"
    # Not the tool cache: only within the job, by the input, is the hash of what was built known.
    root=$RUNNER_TEMP/git-pertask/source
    binary=$root/bin/git-pertask
    if [ -n "$wanted" ] && [ -e "$binary" ]; then
        is "$binary" "$wanted" ||
            fail "$binary is not what an earlier step of this job built (input sha256): something changed it"
        use "$binary" "$wanted"
    fi
    command -v cargo >/dev/null ||
        fail "there is no release of git-pertask $version for $target yet, and no cargo here to build it: use a released version of the action, or install Rust in a step before"
    rm -rf "$root"
    echo "::group::Building git-pertask $version from source, as there is no release of it for $target"
    # From the action's folder: a .cargo/config.toml or toolchain file of the workspace must not count.
    (cd "$home" && cargo install --locked --path "$home" --bin git-pertask --root "$root" \
        --target-dir "$root/target" --force) ||
        {
            echo '::endgroup::'
            fail "git-pertask $version could not be built; it needs Rust $(of_package rust-version) or newer and a C compiler"
        }
    echo '::endgroup::'
    rm -rf "$root/target"
    hash=$(hash_of "$binary")
    [ -z "$wanted" ] || [ "$hash" = "$wanted" ] ||
        fail "what was built has the SHA-256 $hash, not $wanted of the input sha256; give that input only within the job of the step it comes from"
    use "$binary" "$hash"
fi

# --- There is one: from the tool cache, or the archive.

[ -n "$archive_hash" ] && [ -n "$binary_hash" ] || fail "action/checksums.txt is broken at $name"
[ -z "$wanted" ] || [ "$wanted" = "$binary_hash" ] ||
    fail "the binary of git-pertask $version for $target has the SHA-256 $binary_hash, not $wanted of the input sha256"

cache=${RUNNER_TOOL_CACHE:-$RUNNER_TEMP}/git-pertask/$version
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || cache=$RUNNER_TEMP/git-pertask/$version
folder=$cache/$arch
if [ -e "$folder.complete" ]; then
    is "$folder/git-pertask" "$binary_hash" && use "$folder/git-pertask" "$binary_hash"
    say warning "$folder/git-pertask is not the released binary: something changed it. It is thrown away and fetched anew"
fi
rm -rf "$folder" "$folder.complete"
mkdir -p "$folder"

releases=${PERTASK_RELEASES:-$(of_package repository)/releases/download}
url=$releases/v$version/$name.tar.gz
loopback='^http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/'
protocols='=https'
! [[ $url =~ $loopback ]] || protocols='=http,https'

fresh=$(mktemp -d "$cache/new.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
echo "Fetching git-pertask $version for $target"
curl --disable --fail --silent --show-error --location --proto "$protocols" --proto-redir '=https' \
    --connect-timeout 20 --max-time 300 --retry 4 --retry-connrefused \
    --output "$fresh/archive" -- "$url" ||
    fail "$url could not be fetched. Try again later; PERTASK_RELEASES can name another server that has the releases"
found=$(hash_of "$fresh/archive")
[ "$found" = "$archive_hash" ] ||
    fail "$url has the SHA-256 $found, not $archive_hash as the release had: it is not used"
tar -xzf "$fresh/archive" -C "$fresh" "$name/git-pertask" ||
    fail "$url cannot be unpacked"
is "$fresh/$name/git-pertask" "$binary_hash" ||
    fail "the binary in $url is not the one of the release: it is not used"
mv -f "$fresh/$name/git-pertask" "$folder/git-pertask"
touch "$folder.complete"
rm -rf "$fresh"
use "$folder/git-pertask" "$binary_hash"
