/* SPDX-License-Identifier: Apache-2.0
 *
 * udp.h - published UDP ports: one flow per client address, kept for 60 s of silence. */
#pragma once

struct listener;

void udp_start(struct listener *listener);
void udp_stop(struct listener *listener);
