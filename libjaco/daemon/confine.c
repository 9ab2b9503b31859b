/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.c - capabilities by libcap-ng, system calls by libseccomp.
 *
 * The filter is a list of what no daemon ever does rather than of what libc may do tomorrow: the
 * units add systemd's @system-service list.  A refused call returns EPERM and is visible in
 * errors. */
#include "libjaco/daemon/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>

#include "libjaco/daemon/daemon.h"

static const int never[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(kexec_load),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(personality),
	SCMP_SYS(quotactl),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
};

static const int never_plain[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(unshare),
	SCMP_SYS(setns),
};

static int refuse(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 0);

		if (rc < 0 && rc != -EDOM) /* EDOM: this architecture has no such call */
			return rc;
	}
	return 0;
}

static int filter_calls(unsigned sandbox, struct jaco_err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (!ctx)
		return jaco_err_set(err, JACO_INTERNAL, "seccomp_init failed");
	rc = refuse(ctx, never, JACO_ARRAY_SIZE(never));
	if (rc == 0 && !(sandbox & JACO_SANDBOX_EXEC))
		rc = refuse(ctx, never_plain, JACO_ARRAY_SIZE(never_plain));
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc < 0)
		return jaco_err_set(err, JACO_INTERNAL, "system-call filter: error %d", -rc);
	return 0;
}

static int keep_caps(unsigned caps, struct jaco_err *err)
{
	static const struct {
		unsigned bit;
		unsigned cap;
	} map[] = {
		{JACO_CAP_NET_ADMIN, CAP_NET_ADMIN},
		{JACO_CAP_NET_BIND_SERVICE, CAP_NET_BIND_SERVICE},
		{JACO_CAP_NET_RAW, CAP_NET_RAW},
		{JACO_CAP_SYS_ADMIN, CAP_SYS_ADMIN},
		{JACO_CAP_CHOWN, CAP_CHOWN},
	};
	capng_select_t what = CAPNG_SELECT_CAPS;

	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		what = CAPNG_SELECT_BOTH;
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < JACO_ARRAY_SIZE(map); i++)
		if (caps & map[i].bit)
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     map[i].cap);
	if (capng_apply(what) < 0) {
		/* An unprivileged caller has fewer than that already: --standalone. */
		capng_get_caps_process();
		if (capng_have_capabilities(CAPNG_SELECT_CAPS) > CAPNG_NONE)
			return jaco_err_set(err, JACO_INTERNAL, "cannot drop capabilities");
	}
	return 0;
}

int jaco_confine(unsigned caps, unsigned sandbox, struct jaco_err *err)
{
	if (keep_caps(caps, err) < 0)
		return -(int)err->code;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return jaco_err_errno(err, "PR_SET_NO_NEW_PRIVS");
	return filter_calls(sandbox, err);
}
