# shellcheck shell=bash
# What install.sh and run.sh begin with. They are read by every bash since 3.2, which macOS has,
# with macOS' own tools or GNU's. Whatever comes from inputs is data: in variables, quoted.

IFS=$' \t\n'
# Nothing that an earlier step may have left for shells, and no token but the one of the input.
unset BASH_ENV ENV CDPATH GLOBIGNORE PROMPT_COMMAND PS4
unset GITHUB_TOKEN GH_TOKEN GITHUB_ENTERPRISE_TOKEN GH_ENTERPRISE_TOKEN
export -n SHELLOPTS

# say LEVEL TEXT: an annotation, whose text may hold anything. GitHub reads them on both streams.
say() {
    local text=$2
    text=${text//'%'/%25}
    text=${text//$'\r'/%0D}
    text=${text//$'\n'/%0A}
    printf '::%s title=git-pertask::%s\n' "$1" "$text" >&2
}

fail() {
    say error "$1"
    exit 1
}

hasher=(sha256sum)
command -v sha256sum >/dev/null || hasher=(shasum -a 256)
command -v "${hasher[0]}" >/dev/null ||
    fail 'neither sha256sum nor shasum is there: without one the binary cannot be verified'

hash_of() {
    "${hasher[@]}" <"$1" | cut -d ' ' -f 1
}

is_hash() {
    [[ $1 =~ ^[0-9a-f]{64}$ ]]
}

# is FILE HASH: whether it is a plain file with that SHA-256.
is() {
    [ -f "$1" ] && [ ! -L "$1" ] && [ "$(hash_of "$1")" = "$2" ]
}
