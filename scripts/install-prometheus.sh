#!/usr/bin/env bash
# Sees to it that `promtool` and `prometheus` are on this machine, for the tests of dashboards and rules.
#
# Installs Debian's package when they are missing, apt-get is there and we are root; else says what to do
# and succeeds: the tests say loudly what they skip. Never starts the system's own service, not now and
# not at the next boot.
set -euo pipefail

say() { echo "install-prometheus: $*" >&2; }

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then exit 0; fi

advice="install Prometheus 2.42 or newer, so that prometheus and promtool are in the PATH"
if [ "${TRACEDRPC_INSTALL_PROMETHEUS:-yes}" = no ]; then
    say "Prometheus is missing and TRACEDRPC_INSTALL_PROMETHEUS=no; $advice"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "Prometheus is missing and this is no Debian; $advice"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    say "Prometheus is missing. Run this once: sudo scripts/install-prometheus.sh; or $advice"
    exit 0
fi

# Debian asks this program before it starts a service; 101 means no. One that is already there decides itself.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

say "installing Prometheus from Debian's packages (it is not started)"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get install -qq -y --no-install-recommends prometheus ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends prometheus; }; } >/dev/null; then
    say "apt-get could not install it; $advice"
    exit 0
fi
if [ -d /run/systemd/system ]; then
    systemctl --quiet disable prometheus.service || true
fi
