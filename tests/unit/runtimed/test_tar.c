/* SPDX-License-Identifier: Apache-2.0 */
#include "daemons/runtimed/tar.h"

#include <stdio.h>

#include "tests/lib/test.h"

JT_CASE(a_file_is_a_header_and_padded_content)
{
	struct jaco_buf out = JACO_BUF_INIT;
	unsigned sum = 0, told = 0;

	JT_TRUE(tar_add(&out, "/etc/motd", 0440, 7, 8, "hello", 5));
	JT_EQ(out.n, 1024);
	JT_STR(out.data, "etc/motd");
	JT_STR(out.data + 100, "0000440");
	JT_STR(out.data + 108, "0000007");
	JT_STR(out.data + 124, "00000000005");
	JT_MEM(out.data + 257, "ustar\0" "00", 8);
	JT_MEM(out.data + 512, "hello\0\0", 7);
	JT_EQ(sscanf(out.data + 148, "%6o", &told), 1);
	for (int i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)out.data[i];
	JT_EQ(sum, told);
	tar_end(&out);
	JT_EQ(out.n, 2048);
	jaco_buf_fini(&out);
}

JT_CASE(long_paths_are_split_at_a_slash_or_refused)
{
	struct jaco_buf out = JACO_BUF_INIT;
	char path[300];

	memset(path, 'd', sizeof(path));
	path[0] = '/';
	path[140] = '/';
	path[200] = '\0';
	JT_TRUE(tar_add(&out, path, 0444, 0, 0, "", 0));
	JT_EQ(strlen(out.data), 59);
	JT_EQ(strlen(out.data + 345), 139);
	path[140] = 'd';
	JT_FALSE(tar_add(&out, path, 0444, 0, 0, "", 0));
	JT_FALSE(tar_add(&out, "/", 0444, 0, 0, "", 0));
	JT_EQ(out.n, 512);
	jaco_buf_fini(&out);
}

JT_CASE(an_archive_does_not_reach_below_mounts_nor_a_read_only_root)
{
	struct jaco_tmpfs tmpfs[] = {{.target = "/run/"}};
	struct jaco_mount mounts[] = {{.target = "/data"}};
	struct jaco_service s = {.tmpfs = tmpfs, .n_tmpfs = 1, .mounts = mounts, .n_mounts = 1};
	static const struct {
		const char *target;
		bool is_reached;
	} cases[] = {{"/run/secrets/x", false}, {"/running", true}, {"/data", false},
		     {"/data/a/b", false},	{"/database", true}, {"/etc/x", true}};
	char path[300];
	struct jaco_file file = {.target = path};

	for (size_t i = 0; i < JACO_ARRAY_SIZE(cases); i++) {
		file.target = cases[i].target;
		JT_EQ(tar_reaches(&s, &file), cases[i].is_reached);
	}
	memset(path, 'd', sizeof(path));
	path[0] = '/';
	path[280] = '\0';
	file.target = path;
	JT_FALSE(tar_reaches(&s, &file));
	s.read_only = true;
	file.target = "/etc/x";
	JT_FALSE(tar_reaches(&s, &file));
}

JT_MAIN(JT_RUN(a_file_is_a_header_and_padded_content),
	JT_RUN(long_paths_are_split_at_a_slash_or_refused),
	JT_RUN(an_archive_does_not_reach_below_mounts_nor_a_read_only_root))
