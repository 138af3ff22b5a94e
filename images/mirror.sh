# shellcheck shell=bash disable=SC2154
# Part of `image`: which Debian mirror to use, and how to reach it, taken from the machine's apt configuration.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints the best Debian archive among APT_SOURCES as deb822 for SUITE; with `security` instead of `main` the archive of
# security updates. A source counts if it has `main` of a Debian release and either Debian's key or an address that
# says debian: others name their suites after Debian's too.
find_source() {
    awk -v kind="$1" -v suite="$SUITE" '
        function forget(k) { for (k in field) delete field[k]; last = "" }
        function consider(score, suites) {
            suites = " " field["suites"] " "
            if (field["enabled"] ~ /^no/ || " " field["types"] " " !~ / deb /) return forget()
            if (" " field["components"] " " !~ / main /) return forget()
            if (suites ~ /-updates /) updates[field["uris"]] = " " suite "-updates"
            if (suites !~ wanted) return forget()
            score = field["signed-by"] ~ /debian-archive/ ? 4 : field["signed-by"] == "" ? 2 : 0
            score += (field["uris"] ~ /debian/ ? 2 : 0) + (suites ~ /-updates / ? 1 : 0)
            if (score > best) {
                best = score
                uris = field["uris"]; key = field["signed-by"]; trusted = field["trusted"]
            }
            forget()
        }
        function show() {
            if (!best) return
            print "Types: deb\nURIs: " uris "\nComponents: main"
            print "Suites: " (kind == "main" ? suite updates[uris] : suite "-security")
            if (key != "") print "Signed-By: " key
            if (trusted != "") print "Trusted: " trusted
        }
        function one_line(i, n, part, options, option) {
            options = ""
            if (match($0, /\[[^]]*\]/)) {
                options = substr($0, RSTART + 1, RLENGTH - 2)
                $0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
            }
            n = split(options, part, " ")
            for (i = 1; i <= n; i++) if (split(part[i], option, "=") == 2) field[tolower(option[1])] = option[2]
            field["types"] = $1; field["uris"] = $2; field["suites"] = $3
            for (i = 4; i <= NF; i++) field["components"] = field["components"] " " $i
            consider()
        }
        BEGIN {
            release = " (bullseye|bookworm|trixie|forky|sid|(old)*stable|testing|unstable)"
            wanted = release (kind == "main" ? " " : "-security ")
        }
        FNR == 1 { consider() }
        /^[ \t]*#/ { next }
        FILENAME !~ /\.sources$/ { sub(/#.*/, ""); if ($1 == "deb") one_line(); next }
        /^[ \t]*$/ { consider(); next }
        /^[ \t]/ { field[last] = field[last] "\n" $0; next }
        { last = tolower(substr($0, 1, index($0, ":") - 1)); sub(/^[^:]*:[ \t]*/, ""); field[last] = $0 }
        END { consider(); show() }
    ' "${APT_SOURCES[@]}"
}

write_sources() {
    local file part
    if [[ -n ${FNRUN_MIRROR:-} ]]; then
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
            "$FNRUN_MIRROR" "$SUITE $SUITE-updates" "$KEYRING" >"$WORK/debian.sources"
        return
    fi
    APT_SOURCES=()
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [[ -r $file ]] && APT_SOURCES+=("$file")
    done
    [[ ${#APT_SOURCES[@]} == 0 ]] || part=$(find_source main)
    [[ -n ${part:-} ]] ||
        fail "no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d; name one with FNRUN_MIRROR=URL"
    printf '%s\n\n%s\n' "$part" "$(find_source security)" >"$WORK/debian.sources"
}

# The machine's own way to the network: proxies, timeouts, clock checks.
write_apt_options() {
    apt-config dump --no-empty Acquire |
        grep -iE '^Acquire::(http|https|ftp|Retries|Check-|ForceIPv|Queue-)' >"$WORK/apt.conf" || true
}
