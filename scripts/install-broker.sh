#!/usr/bin/env bash
# Sees to it that RabbitMQ's binaries are on this machine, for the private nodes of demo and tests.
#
# Installs Debian's package when it is missing, apt-get is there and we are root; else says what to do
# and succeeds: the demo falls back on its in-process driver, the tests say loudly what they skip.
# Never starts the system's own node, not now and not at the next boot.
set -euo pipefail

say() { echo "install-broker: $*" >&2; }

[ -z "${TRACEDRPC_TEST_URL:-}" ] || exit 0   # a RabbitMQ is given
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
! command -v rabbitmq-server >/dev/null || exit 0
[ -z "${TRACEDRPC_RABBITMQ_SERVER:-}" ] || exit 0

advice="install rabbitmq-server, or set TRACEDRPC_TEST_URL=rabbit://user:password@host:5672/"
if [ "${TRACEDRPC_INSTALL_BROKER:-yes}" = no ]; then
    say "RabbitMQ is missing and TRACEDRPC_INSTALL_BROKER=no; $advice"
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    say "RabbitMQ is missing and this is no Debian; $advice"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    say "RabbitMQ is missing. Run this once: sudo scripts/install-broker.sh; or $advice"
    exit 0
fi

# Debian asks this program before it starts a service; 101 means no. One that is already there decides itself.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

say "installing RabbitMQ from Debian's packages (it is not started)"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get install -qq -y --no-install-recommends rabbitmq-server ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends rabbitmq-server; }; } >/dev/null; then
    say "apt-get could not install it; $advice"
    exit 0
fi
if [ -d /run/systemd/system ]; then
    systemctl --quiet disable rabbitmq-server.service || true
fi
