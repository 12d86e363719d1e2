#!/usr/bin/env bash
# Sees to it that Chromium is on this machine, for the tests of the console's page.
#
# Installs Debian's package when it is missing, apt-get is there and we are root; else says what to do
# and succeeds: the tests say loudly what they skip, and fail where CI is set.
set -euo pipefail

say() { echo "install-chromium: $*" >&2; }

! command -v chromium >/dev/null || exit 0
! command -v chromium-browser >/dev/null || exit 0

if [ "${TRACEDRPC_INSTALL_CHROMIUM:-yes}" = no ]; then
    say "Chromium is missing and TRACEDRPC_INSTALL_CHROMIUM=no; install chromium"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "Chromium is missing and this is no Debian; install chromium"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    say "Chromium is missing. Run this once: sudo scripts/install-chromium.sh"
    exit 0
fi

say "installing Chromium from Debian's packages"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get install -qq -y --no-install-recommends chromium ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; }; } >/dev/null; then
    say "apt-get could not install it; install chromium"
fi
