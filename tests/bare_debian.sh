#!/usr/bin/env bash
# Run `make demo` and `make test` on a minimal Debian, made by debootstrap in a temporary folder.
#
#     tests/bare_debian.sh [SUITE]        as root; SUITE is bookworm by default
#
# The last commit of this clone is tested. The Debian has python3, pip, make and git; what setup names
# as missing is then installed by the very commands that it prints. Where PyTorch's index is out of
# reach, a folder with the wheel of torch can stand for it:
#
#     python3 tests/support/torch_index.py FOLDER tests/bare_debian.sh
#
# Passed on if set: TORCH_INDEX and the variables for proxies. This machine's certificates are used.
set -euo pipefail

suite=${1:-bookworm}
repository=$(cd "$(dirname "$0")/.." && pwd)

# In namespaces of its own: mounts and processes end with the script, also after Ctrl-C.
if [ -z "${BARE_DEBIAN_ROOT:-}" ]; then
  BARE_DEBIAN_ROOT=$(mktemp -d)
  export BARE_DEBIAN_ROOT
  unshare --mount --pid --fork --kill-child "$0" "$suite" &
  trap '{ kill -KILL $!; wait $!; } 2>/dev/null || true; rm -rf --one-file-system "$BARE_DEBIAN_ROOT"' EXIT
  wait $!
  exit
fi
root=$BARE_DEBIAN_ROOT

inside() {
  local passed=()
  for name in TORCH_INDEX {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY; do
    if [ -n "${!name:-}" ]; then passed+=("$name=${!name}"); fi
  done
  echo "\$ $*"
  local begun=$SECONDS status=0
  # A process in the background ignores Ctrl-C, and so would the programs that tests interrupt.
  chroot "$root" env -i --default-signal=INT,QUIT HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
    "${passed[@]}" bash -c "cd /root/searchapp && $*" </dev/null || status=$?
  echo "(exit status $status after $((SECONDS - begun)) s)"
  return $status
}

debootstrap --variant=minbase --include=python3,python3-pip,make,git,ca-certificates "$suite" "$root" >/dev/null
cp /etc/resolv.conf /etc/hosts "$root/etc/"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
git clone --quiet --no-hardlinks "$repository" "$root/root/searchapp"

inside "cat /etc/debian_version && python3 --version && git log -1 --oneline"
if inside make demo 2>&1 | tee "$root/said"; then
  echo "setup names nothing as missing" >&2
  exit 1
fi
grep -o 'apt-get install .*' "$root/said" | while read -r command; do
  inside "$command -qq -y >/dev/null 2>&1"
done
inside make demo
inside make test
echo "make demo and make test pass on a minimal Debian ($suite)"
