#!/bin/sh
# Downloads the four files of MNIST, Fashion-MNIST or KMNIST, 11 to 31 MB, and checks them.
#
#   data/get-mnist.sh [mnist|fashion|kmnist] [directory]      (default: mnist; a directory of that name beside this script)
#
# It checks a SHA-256: for MNIST that of the decompressed content, so the compression by a mirror does not matter; for the others that
# of the .gz file that the authors published.
# Existing files that are correct are kept. A file with another checksum is an error, and is kept too.
# MNIST_MIRRORS: other mirrors, as URLs separated by spaces (with curl also file://).
set -eu

case ${1:-} in
    mnist | fashion | kmnist) set_name=$1; shift ;;
    *) set_name=mnist ;;
esac
case $set_name in
    mnist) places="https://ossci-datasets.s3.amazonaws.com/mnist https://storage.googleapis.com/cvdf-datasets/mnist" ;;
    fashion) places="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com" ;;
    kmnist) places="http://codh.rois.ac.jp/kmnist/dataset/kmnist" ;;
esac
mirrors=${MNIST_MIRRORS:-$places}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dir=${1:-"$here/$set_name"}

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
    fail "found neither curl nor wget, which download the files; install one of them"
fi

# SHA-256 of the standard input.
if have sha256sum; then
    sha256() { sha256sum | cut -d ' ' -f 1; }
elif have shasum; then
    sha256() { shasum -a 256 | cut -d ' ' -f 1; }
elif have openssl; then
    sha256() { openssl dgst -sha256 -r | cut -d ' ' -f 1; }
else
    fail "found no tool for SHA-256; install sha256sum, shasum or openssl"
fi
have gzip || fail "found no gzip, which decompresses the files; install it"

mkdir -p "$dir"
part=
trap 'rm -f -- "$part"' EXIT
trap 'exit 1' HUP INT TERM

# Prints the bytes of a .gz file over which the SHA-256 is computed.
checked() {
    if [ "$set_name" = mnist ]; then gzip -dc; else cat; fi
}

# get NAME SHA256: downloads NAME.gz into $dir unless $dir/NAME or $dir/NAME.gz exists, and checks it.
get() {
    name=$1
    expected=$2
    for file in "$dir/$name" "$dir/$name.gz"; do
        [ -e "$file" ] || continue
        case $file in
            *.gz) found=$(checked <"$file" | sha256) ;;
            *)
                if [ "$set_name" != mnist ]; then
                    echo "$file: exists; not checked, because only the SHA-256 of the .gz file is known"
                    return
                fi
                found=$(sha256 <"$file")
                ;;
        esac
        if [ "$found" = "$expected" ]; then
            echo "$file: exists and is correct"
            return
        fi
        fail "$file is not the official file (SHA-256 $found, expected $expected).
Remove it, or name another directory: $0 $set_name directory"
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
  $url: not a gzip file, or truncated"
        else
            found=$(checked <"$part" | sha256)
            if [ "$found" = "$expected" ]; then
                mv -- "$part" "$dir/$name.gz"
                return
            fi
            reasons="$reasons
  $url: SHA-256 is $found, expected $expected"
        fi
    done
    fail "could not get $name.gz:$reasons"
}

case $set_name in
    mnist)
        get train-images-idx3-ubyte ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
        get train-labels-idx1-ubyte 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
        get t10k-images-idx3-ubyte 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
        get t10k-labels-idx1-ubyte ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
        ;;
    fashion)
        get train-images-idx3-ubyte 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84
        get train-labels-idx1-ubyte a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845
        get t10k-images-idx3-ubyte 346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073
        get t10k-labels-idx1-ubyte 67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5
        ;;
    kmnist)
        get train-images-idx3-ubyte 51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4
        get train-labels-idx1-ubyte e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17
        get t10k-images-idx3-ubyte edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5
        get t10k-labels-idx1-ubyte 20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c
        ;;
esac
echo "$set_name is complete in $dir"
