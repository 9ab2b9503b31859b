#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Adapter of the proxy benchmark: runs jaco-proxyd --standalone in the foreground, one worker.
# Environment: P_UP (replica host:port), P_HTTP P_TLS P_L4 (ports on 127.0.0.1), P_CRT P_KEY, P_DIR.
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
bin=${JACO_PROXYD:-$here/../../build/daemons/proxyd/jaco-proxyd}
cat >"$P_DIR/proxy.json" <<C
{"workers": 1,
 "listeners": [
  {"kind": "http", "address": "127.0.0.1:$P_HTTP"},
  {"kind": "https", "address": "127.0.0.1:$P_TLS"},
  {"kind": "tcp", "address": "127.0.0.1:$P_L4", "service": "bench/up", "port": ${P_UP#*:}}],
 "services": {"bench/up": {"replicas": [{"address": "${P_UP%:*}", "port": ${P_UP#*:}}]}},
 "routes": [{"domain": "*", "service": "bench/up", "tls": "off"}],
 "timeouts": {"keepalive": "300s", "upstream_idle": "300s"},
 "certificates": [{"cert": "$P_CRT", "key": "$P_KEY"}]}
C
exec "$bin" --standalone "$P_DIR/proxy.json"
