# For targets' setup.sh to source, whose $1 is the folder of the tools: what is missing is said on
# the last line of output, and packages of the system are installed.
set -euo pipefail
tools=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)

missing() {
    echo "$1"
    exit 1
}

install() { # PACKAGE ..., those that are not there
    [ $# -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || missing "install $*, or run this as root"
    apt-get install -y -q --no-install-recommends "$@" && return  # the lists may be there
    apt-get update -q || missing "apt-get update failed"
    apt-get install -y -q --no-install-recommends "$@" || missing "apt-get install $* failed"
}
