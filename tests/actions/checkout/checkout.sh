#!/usr/bin/env bash
# See action.yml.
set -euo pipefail

workspace=$GITHUB_WORKSPACE${STAND_IN_PATH:+/$STAND_IN_PATH}
url=$GITHUB_SERVER_URL/$STAND_IN_REPOSITORY
mkdir -p "$workspace"
cd "$workspace"
# Whatever an earlier step left there.
find . -mindepth 1 -delete
git init --quiet --initial-branch=main .
git remote add origin "$url"
git config --local gc.auto 0

# The token goes by the environment of git alone: a command line can be read by anybody.
basic=$(printf 'x-access-token:%s' "$STAND_IN_TOKEN" | base64 | tr -d '\n')
header="AUTHORIZATION: basic $basic"
fetch() {
    GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=1 \
        GIT_CONFIG_KEY_0="http.$GITHUB_SERVER_URL/.extraheader" GIT_CONFIG_VALUE_0="$header" \
        git fetch --quiet --no-tags --prune --no-recurse-submodules "$@"
}

ref=${STAND_IN_REF:-$GITHUB_REF}
commit=
[ -n "$STAND_IN_REF" ] || commit=$GITHUB_SHA
case $ref in
refs/*) ;;
*)
    if [[ $ref =~ ^[0-9a-f]{40}$ ]]; then
        commit=$ref ref=
    else
        ref=refs/heads/$ref
    fi
    ;;
esac
if [ "$STAND_IN_DEPTH" = 0 ]; then
    fetch origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
    case $ref in
    '' | refs/heads/* | refs/tags/*) ;;
    *) fetch origin "+${commit:-$ref}:refs/remotes/${ref#refs/}" ;;
    esac
else
    tags=()
    [ "$STAND_IN_TAGS" != true ] || tags=('+refs/tags/*:refs/tags/*')
    case $ref in
    '') fetch --depth="$STAND_IN_DEPTH" origin "$commit" "${tags[@]}" ;;
    refs/heads/*)
        fetch --depth="$STAND_IN_DEPTH" origin \
            "+${commit:-$ref}:refs/remotes/origin/${ref#refs/heads/}" "${tags[@]}"
        ;;
    *)
        fetch --depth="$STAND_IN_DEPTH" origin "+${commit:-$ref}:refs/remotes/${ref#refs/}" \
            "${tags[@]}"
        ;;
    esac
fi
case $ref in
'') git checkout --quiet --force --detach "$commit" ;;
refs/heads/*)
    branch=${ref#refs/heads/}
    git checkout --quiet --force -B "$branch" "${commit:-refs/remotes/origin/$branch}"
    ;;
*) git checkout --quiet --force --detach "${commit:-refs/remotes/${ref#refs/}}" ;;
esac
if [ "$STAND_IN_PERSIST" != false ]; then
    git config --local "http.$GITHUB_SERVER_URL/.extraheader" "$header"
fi
git log -1 --format='%H %s'
