#!/usr/bin/env bash
# Second step of the action: `git-pertask ci …` with the inputs as its arguments.
#
# The inputs come as PERTASK_ACTION_… and go on as arguments in an array, never as text for a shell.
# Nothing of them is left in the environment of the program; the token is there, as GITHUB_TOKEN,
# for the commands that speak with GitHub, and no other command takes one.
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=action/common.sh
. "$here/common.sh"

# given INPUT: its value, if not empty.
given() {
    local variable
    variable=PERTASK_ACTION_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
    value=${!variable:-}
    [ -n "$value" ]
}

need() {
    local input
    for input in "$@"; do
        given "$input" || fail "input $input is missing; command: $called needs it"
    done
}

no() {
    local input
    for input in "$@"; do
        ! given "$input" || fail "command: $called has no use for the input $input; leave it out"
    done
}

# pass INPUT: as an argument, when it is given. With =, so that a value is never taken for an option.
pass() {
    local input
    for input in "$@"; do
        ! given "$input" || arguments+=("--$input=$value")
    done
}

token=
called=${PERTASK_ACTION_COMMAND:-}
arguments=(ci "$called")
case $called in
decide)
    need token
    no step task attempt order result
    pass run plan mode agent
    number=0
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        line=${line%$'\r'}
        line=${line#"${line%%[![:space:]]*}"}
        [ -n "$line" ] || continue
        case $line in
        [!=]*=*) arguments+=("--param=$line") ;;
        *) fail "input parameters, line $number: \"$line\" is not key=value" ;;
        esac
    done <<<"${PERTASK_ACTION_PARAMETERS:-}"
    ;;
attempt)
    need run task attempt order step
    no plan mode agent parameters
    called="attempt, step: $PERTASK_ACTION_STEP"
    case $PERTASK_ACTION_STEP in
    fetch) ;;
    # An agent or its work runs in these, or on the same machine afterwards.
    agent | checks | pack)
        ! given token || fail "command: $called takes no token: give it to step: fetch only"
        ;;
    *) fail "input step: \"$PERTASK_ACTION_STEP\" is none of fetch, agent, checks, pack" ;;
    esac
    pass run task attempt order step result
    ;;
publish)
    need token run task attempt order
    no step plan mode agent parameters
    pass run task attempt order result
    ;;
'') fail 'input command is missing: one of decide, attempt, publish' ;;
*) fail "input command: \"$called\" is none of decide, attempt, publish" ;;
esac
! given token || token=$value

binary=${PERTASK_ACTION_BINARY:?} hash=${PERTASK_ACTION_BINARY_SHA256:?}
if given working-directory; then
    case $value in /*) ;; *) value=./$value ;; esac
    cd -- "$value" 2>/dev/null || fail "input working-directory: $value is no folder in $PWD"
fi

# What the program, and an agent below it, has no business with: the inputs, the files that change
# later steps, and the tokens of the runner's own services.
for name in "${!PERTASK_ACTION_@}" "${!INPUT_@}"; do unset "$name"; done
unset GITHUB_ENV GITHUB_PATH GITHUB_STATE value
unset ACTIONS_RUNTIME_TOKEN ACTIONS_RUNTIME_URL ACTIONS_RESULTS_URL ACTIONS_CACHE_URL
unset ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_ID_TOKEN_REQUEST_URL
export PERTASK_HOME=${RUNNER_TEMP:?}/pertask
if [ -n "$token" ]; then export GITHUB_TOKEN=$token; fi
unset token

is "$binary" "$hash" || fail "$binary was changed after it was verified: it is not run"
exec "$binary" "${arguments[@]}"
