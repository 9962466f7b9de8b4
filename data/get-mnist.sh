#!/bin/sh
# Downloads the four files of MNIST, 11 MB, and checks them.
#
#   data/get-mnist.sh [directory]      (default: mnist, beside this script)
#
# What is checked is the SHA-256 of the decompressed content, so it does not matter how a mirror compressed it.
# Files that are there and right are left alone; a wrong one is an error and is left alone too.
# MNIST_MIRRORS: other places to try, URLs separated by spaces (curl also takes file://).
set -eu

mirrors=${MNIST_MIRRORS:-"https://ossci-datasets.s3.amazonaws.com/mnist https://storage.googleapis.com/cvdf-datasets/mnist"}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dir=${1:-"$here/mnist"}

fail() {
    echo "get-mnist: $*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

if have curl; then
    fetch() { curl --fail --silent --show-error --location --retry 2 --connect-timeout 20 --output "$2" "$1"; }
elif have wget; then
    fetch() { wget --quiet --tries=3 --timeout=20 --output-document="$2" "$1"; }
else
    fail "neither curl nor wget found; install one of them"
fi

# SHA-256 of the standard input.
if have sha256sum; then
    sha256() { sha256sum | cut -d ' ' -f 1; }
elif have shasum; then
    sha256() { shasum -a 256 | cut -d ' ' -f 1; }
elif have openssl; then
    sha256() { openssl dgst -sha256 -r | cut -d ' ' -f 1; }
else
    fail "no tool for SHA-256 found (sha256sum, shasum or openssl)"
fi
have gzip || fail "gzip not found; install it"

mkdir -p "$dir"
part=
trap 'rm -f -- "$part"' EXIT
trap 'exit 1' HUP INT TERM

# get NAME SHA256: makes sure that $dir/NAME or $dir/NAME.gz is there and right.
get() {
    name=$1
    right=$2
    for file in "$dir/$name" "$dir/$name.gz"; do
        [ -e "$file" ] || continue
        case $file in
            *.gz) found=$(gzip -dc <"$file" | sha256) ;;
            *) found=$(sha256 <"$file") ;;
        esac
        if [ "$found" = "$right" ]; then
            echo "$file: there, and right"
            return
        fi
        fail "$file is not the official file (SHA-256 of the content $found, expected $right).
Remove it, or name another directory: $0 directory"
    done

    part=$dir/$name.gz.$$.tmp
    reasons=
    for mirror in $mirrors; do
        url=${mirror%/}/$name.gz
        echo "$url"
        if ! fetch "$url" "$part"; then
            reasons="$reasons
  $url: download failed"
        elif ! gzip -t <"$part" 2>/dev/null; then
            reasons="$reasons
  $url: not a gzip file, or cut off"
        else
            found=$(gzip -dc <"$part" | sha256)
            if [ "$found" = "$right" ]; then
                mv -- "$part" "$dir/$name.gz"
                return
            fi
            reasons="$reasons
  $url: SHA-256 of the content is $found, expected $right"
        fi
    done
    fail "could not get $name.gz:$reasons"
}

get train-images-idx3-ubyte ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
get train-labels-idx1-ubyte 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
get t10k-images-idx3-ubyte 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
get t10k-labels-idx1-ubyte ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
echo "MNIST is complete in $dir"
