#!/bin/sh
# Pins the images of Dockerfile and docker-compose.yml to the digests that their tags have now: `FROM swift:6.3-bookworm` becomes
# `FROM swift:6.3-bookworm@sha256:…`. An image that is pinned already is looked up by its tag again, so that running this once more is how
# the pins are brought up to date. Asks the registry through crane, skopeo or docker, whichever is there.
#
#   Scripts/pin-images.sh [FILE…]           rewrites the files (Dockerfile and docker-compose.yml of the repository)
#   Scripts/pin-images.sh --check [FILE…]   changes nothing; fails when an image has no digest (asks nobody)
set -eu

fail() {
    echo "pin-images: $*" >&2
    exit 1
}

check=no
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi
if [ $# -eq 0 ]; then
    cd "$(dirname "$0")/.."
    set -- Dockerfile docker-compose.yml
fi

# The digest of NAME:TAG: that of the list of all platforms, where the registry has one.
digest() {
    if command -v crane > /dev/null; then
        crane digest "$1"
    elif command -v skopeo > /dev/null; then
        skopeo inspect --format '{{.Digest}}' "docker://$1"
    elif command -v docker > /dev/null; then
        docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"
    else
        fail "neither crane nor skopeo nor docker is there to ask the registry"
    fi
}

# One image a line: what `FROM` and `image:` name, without stages of the same file, `scratch` and names that are made of variables.
images() {
    awk '
        toupper($1) == "FROM" {
            place = 2
            while ($place ~ /^--/) place++
            if (!($place in stages) && $place != "scratch" && $place !~ /\$/) print $place
            if (toupper($(place + 1)) == "AS") stages[$(place + 2)] = 1
        }
        $1 == "image:" && $2 !~ /\$/ { gsub(/["'\'']/, "", $2); print $2 }
    ' "$1" | sort -u
}

unpinned=0
for file; do
    [ -f "$file" ] || fail "there is no $file"
    for image in $(images "$file"); do
        name=${image%@*}
        if [ $check = yes ]; then
            case $image in
            *@sha256:*) ;;
            *)
                echo "$file: $image has no digest"
                unpinned=1
                ;;
            esac
            continue
        fi
        # Without a tag the registry means `latest`.
        case ${name##*/} in
        *:*) ;;
        *) name=$name:latest ;;
        esac
        found=$(digest "$name") || fail "$name cannot be looked up"
        echo "$found" | grep -Eq '^sha256:[0-9a-f]{64}$' || fail "$name: '$found' is no digest"
        # Into a new file first, so that a failure leaves the old one as it was.
        awk -v old="$image" -v new="$name@$found" '
            toupper($1) == "FROM" || $1 == "image:" {
                for (place = 2; place <= NF; place++) {
                    bare = $place
                    gsub(/["'\'']/, "", bare)
                    if (bare == old) {
                        start = index($0, $place)
                        $0 = substr($0, 1, start - 1) new substr($0, start + length($place))
                        break
                    }
                }
            }
            { print }
        ' "$file" > "$file.pinned"
        cat "$file.pinned" > "$file"
        rm "$file.pinned"
        echo "$file: $name@$found"
    done
done
exit $unpinned
