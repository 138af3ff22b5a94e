# shellcheck shell=bash disable=SC2154
# Part of `image`: from a recipe to the file tree of an image. What is written here is part of an image's digest.
#
# Packages are unpacked and their maintainer scripts never run: that is quick, and what an image holds is what its
# recipe says. A recipe is NAME.recipe, one step a line, in order, after all packages are unpacked:
#
#   part                  other recipes include this one; `--all` leaves it out
#   include NAME          the steps of another recipe
#   package NAME...       Debian packages, with what they depend on
#   dir PATH [MODE]       make a directory
#   link PATH TARGET      make a symbolic link
#   line PATH TEXT        append a line to a file
#   empty PATH            make an empty file
#   remove PATTERN...     remove files and directories
#   run COMMAND           run a command inside the image
#   check COMMAND         run a command inside the finished, read-only image; if it fails, so does the build

SUITE=trixie

# What no image needs, whatever its packages bring.
LITTER=(etc/apt etc/dpkg var/cache/apt var/lib/apt var/lib/dpkg var/log var/cache/debconf etc/machine-id
    usr/share/{applications,bash-completion,bug,doc,doc-base,fish,info,lintian,locale,man,menu,pixmaps,zsh})

# --- running things that must die with us ---

# Starts a command in mount and pid namespaces of its own, as CHILD, its output in file $1. It is killed when this
# script dies, however it dies, and its mounts are gone with it.
start() {
    local log=$1
    shift
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc -- "$@" >>"$log" 2>&1 </dev/null &
    CHILD=$!
}

finish() {
    local status=0
    wait "$CHILD" || status=$?
    CHILD=''
    return $status
}

# Runs a command inside the image at $2, which is read-only if $1 is `ro`.
in_image() {
    # shellcheck disable=SC2016
    start "$WORK/log" bash -euc '
        mount --bind "$1" "$1"; mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"
        [[ $0 == rw ]] || mount -o remount,bind,ro "$1"
        cd "$1"; shift
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 chroot . "$@"' "$@"
    finish
}

# Why a build failed, in words, from what its programs said.
advice() {
    case $(tail -n 40 "$WORK/log") in
        *'No space left on device'*)
            echo "the disk is full: $(df -h --output=avail "$IMAGES" | tail -n 1) free in $IMAGES" ;;
        *'Could not resolve'* | *'Temporary failure resolving'* | *'Unable to connect'* | *'Network is unreachable'* | \
        *'Connection refused'* | *'Connection timed out'* | *'Failed to fetch'*)
            echo "the mirror cannot be reached; it is $(sed -n 's/^URIs: //p' "$WORK/debian.sources" | head -n 1)" ;;
        *NO_PUBKEY* | *'is not signed'*)
            echo "apt does not know the mirror's key; update the package debian-archive-keyring" ;;
        *'Unable to locate package'*) echo "a package of the recipe does not exist in Debian $SUITE on this mirror" ;;
        *'Operation not permitted'*)
            echo "this needs root with the right to mount (in a container: a privileged one)" ;;
        *) echo "see the lines above" ;;
    esac
}

fail_with_log() {
    { echo "--- the end of the log:"; tail -n 15 "$WORK/log"; echo "---"; } >&2
    fail "$1: $(advice)"
}

# --- packages ---

# Follows mmdebstrap's log and says which phase it has reached.
follow() {
    local line part='' phase='' said=$SECONDS got=0
    exec {LOG}<"$WORK/log"
    while kill -0 "$CHILD" 2>/dev/null; do
        while IFS= read -r -u "$LOG" line; do
            case $part$line in
                'I: running apt-get update'*) say "reading package lists"; phase=lists ;;
                'I: downloading packages'*) say "downloading packages"; phase=packages said=$SECONDS got=0 ;;
                'I: extracting archives'*) say "unpacking $(wc -l <"$WORK/unpacked") packages"; phase='' ;;
                Get:*) got=$((got + 1)) ;;
            esac
            part=''
        done
        part+=$line
        if [[ -n $phase && $((SECONDS - said)) -ge 5 ]]; then
            say "downloading $phase: $got so far"
            said=$SECONDS
        fi
        sleep 0.1
    done
    exec {LOG}<&-
}

# Unpacks the packages into $1. Package lists and packages are kept in WORK for the next image of this run.
unpack() {
    local cache=$WORK/cache
    mkdir -p "$cache/archives" "$cache/lists"
    : >"$WORK/unpacked"
    start "$WORK/log" env TMPDIR="$WORK" mmdebstrap --verbose --mode=root --variant=extract --skip=cleanup \
        --include="$(IFS=,; echo "${PACKAGES[*]}")" \
        --aptopt="$WORK/apt.conf" --aptopt="DPkg::Pre-Install-Pkgs:: \"cat >>$WORK/unpacked\"" \
        --setup-hook="mkdir -p \"\$1/var/cache/apt\" \"\$1/var/lib/apt\"" \
        --setup-hook="cp -al $cache/archives \"\$1/var/cache/apt/\"; cp -al $cache/lists \"\$1/var/lib/apt/\"" \
        "$SUITE" "$1" "$WORK/debian.sources"
    follow
    finish || fail_with_log "cannot get and unpack its packages"
    cp -alf "$1/var/cache/apt/archives" "$1/var/lib/apt/lists" "$cache/"
}

# --- steps ---

# Does one step: WHERE it stands, ROOT, its WORD and the rest of its line.
apply() {
    local where=$1 root=$2 word=$3 rest=$4 args
    mapfile -d '' args < <(printf '%s\n' "$rest" | xargs printf '%s\0')
    local path=$root${args[0]}
    case $word in
        dir) mkdir -p "$path" && chmod "${args[1]:-0755}" "$path" ;;
        link) mkdir -p "$(dirname "$path")" && ln -sfn "${args[1]}" "$path" ;;
        empty) rm -f "$path" && : >"$path" ;;
        line) append "$root" "${rest%% *}" "${rest#* }" ;;
        remove) remove "$root" "$rest" ;;
        run) in_image rw "$root" "${args[@]}" ;;
        check) in_image ro "$root" "${args[@]}" ;;
    esac || fail_with_log "$where: this failed: $word $rest"
}

append() {
    if [[ -L $1$2 ]]; then rm "$1$2"; fi
    printf '%s\n' "$3" >>"$1$2"
}

# Removes what the patterns in $2 match beneath $1, and nothing of the machine's own root.
remove() {
    (
        cd "$1" || exit
        shopt -s nullglob extglob
        set -f
        # shellcheck disable=SC2086 # one word for each pattern
        set -- $2
        set +f
        # shellcheck disable=SC2068 # a pattern is meant to expand
        set -- ${@/#/.}
        rm -rf -- "$@"
    )
}

# All steps whose word matches a pattern.
apply_steps() {
    local root=$1 pattern=$2 step where word rest
    for step in "${STEPS[@]}"; do
        where=${step%%$'\t'*}
        read -r word rest <<<"${step#*$'\t'}"
        # shellcheck disable=SC2053 # a pattern is meant to match
        if [[ $word == $pattern ]]; then apply "$where" "$root" "$word" "$rest"; fi
    done
}

# What holds for every image: no litter, no device nodes, no setuid programs, all of it root's.
purify() {
    local root=$1
    (cd "$root" && rm -rf -- "${LITTER[@]}")
    mkdir -p "$root/dev" "$root/proc" "$root/tmp"
    find "$root/dev" "$root/proc" "$root/tmp" -mindepth 1 -delete
    find "$root" \( -type b -o -type c -o -type p -o -type s \) -delete
    find "$root" -type f -perm /7000 -exec chmod a-st {} +
    find "$root" -type d -perm /6000 -exec chmod a-s {} +
    find "$root" ! \( -uid 0 -gid 0 \) -exec chown -h 0:0 {} +
    chmod 0755 "$root"
}

# "name version" of each unpacked package; apt writes a colon in a file's name as %3a.
package_list() { sed -E 's|.*/||; s|_[^_]*\.deb$||; s|%3a|:|g; s|_| |' "$WORK/unpacked" | sort; }

build_tree() {
    local root=$1
    if [[ ${#PACKAGES[@]} -gt 0 ]]; then unpack "$root"; else mkdir -p "$root"; fi
    say "setting up"
    apply_steps "$root" '!(check)'
    purify "$root"
    say "checking"
    apply_steps "$root" check
}
