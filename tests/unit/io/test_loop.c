/* SPDX-License-Identifier: Apache-2.0
 *
 * What "soon" means: once, behind all that is ready, in the same pass. */
#include "libjaco/io/loop.h"

#include <unistd.h>

#include "tests/lib/test.h"

struct rig {
	struct jaco_loop loop;
	struct jaco_timer soon;
	struct jaco_io readers[3];
	int pipes[3][2];
	int n_read;
	int n_fired;
	int n_read_when_fired;
};

static void on_soon(struct jaco_timer *timer, void *ctx)
{
	struct rig *rig = ctx;

	rig->n_fired++;
	rig->n_read_when_fired = rig->n_read;
}

static void on_readable(struct jaco_io *io, unsigned events, void *ctx)
{
	struct rig *rig = ctx;
	char byte;

	JT_EQ(read(io->fd, &byte, 1), 1);
	rig->n_read++;
	jaco_timer_soon(&rig->soon);
}

static void open_rig(struct rig *rig)
{
	struct jaco_err err = JACO_ERR_INIT;

	*rig = (struct rig){.n_read = 0};
	JT_OK(jaco_loop_open(&rig->loop, NULL, &err), &err);
	jaco_timer_init(&rig->loop, &rig->soon, on_soon, rig);
	for (size_t i = 0; i < 3; i++) {
		JT_EQ(pipe(rig->pipes[i]), 0);
		jaco_io_start(&rig->loop, &rig->readers[i], rig->pipes[i][0], JACO_IO_READ,
			      on_readable, rig);
	}
}

static void close_rig(struct rig *rig)
{
	for (size_t i = 0; i < 3; i++) {
		jaco_io_stop(&rig->readers[i]);
		close(rig->pipes[i][0]);
		close(rig->pipes[i][1]);
	}
	jaco_timer_fini(&rig->soon);
	jaco_loop_close(&rig->loop);
}

JT_CASE(soon_is_once_behind_all_that_was_ready)
{
	struct rig rig;

	open_rig(&rig);
	for (size_t i = 0; i < 3; i++)
		JT_EQ(write(rig.pipes[i][1], "x", 1), 1);
	jaco_loop_once(&rig.loop, 0);
	JT_EQ(rig.n_read, 3);
	JT_EQ(rig.n_fired, 1);
	JT_EQ(rig.n_read_when_fired, 3);
	JT_FALSE(rig.soon.is_armed);
	close_rig(&rig);
}

JT_CASE(soon_from_outside_a_pass_fires_in_the_next_without_waiting)
{
	struct rig rig;

	open_rig(&rig);
	jaco_timer_soon(&rig.soon);
	jaco_timer_soon(&rig.soon);
	jaco_loop_once(&rig.loop, 60000);
	JT_EQ(rig.n_fired, 1);
	close_rig(&rig);
}

JT_CASE(soon_can_be_taken_back)
{
	struct rig rig;

	open_rig(&rig);
	jaco_timer_soon(&rig.soon);
	jaco_timer_disarm(&rig.soon);
	jaco_loop_once(&rig.loop, 0);
	JT_EQ(rig.n_fired, 0);
	close_rig(&rig);
}

JT_MAIN(JT_RUN(soon_is_once_behind_all_that_was_ready),
	JT_RUN(soon_from_outside_a_pass_fires_in_the_next_without_waiting),
	JT_RUN(soon_can_be_taken_back))
