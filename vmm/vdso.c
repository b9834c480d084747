/* SPDX-License-Identifier: MIT */
/*
 * The host's vDSO and its data pages as guest physical memory: programs read the clock without an exit,
 * from the data that the host keeps current.
 */
/* host syscalls: openat read ioctl */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/log.h"
#include "vmm/machine.h"

struct area { uint64_t start, end; };

/* All [vvar...] areas must lie right below [vdso], as they do since there is a vDSO. */
static bool find_areas(struct area *data, struct area *text)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	*data = *text = (struct area){ 0, 0 };
	while (f && fgets(line, sizeof(line), f)) {
		struct area a;

		if (sscanf(line, "%lx-%lx", &a.start, &a.end) != 2)
			continue;
		if (strstr(line, "[vvar"))
			*data = (struct area){ data->end == a.start ? data->start : a.start, a.end };
		else if (strstr(line, "[vdso]"))
			*text = a;
	}
	if (f)
		fclose(f);
	return data->end && data->end == text->start;
}

void vdso_init(struct machine *m)
{
	struct vdso_image *v = &m->platform.vdso;
	struct area data, text;
	gpa_t gpa;
	int r;

	if (!find_areas(&data, &text)) {
		log_dbg(KVM, "the host has no vDSO that can be shared: clock calls leave the VM");
		return;
	}
	mutex_lock(&m->memory_lock);
	gpa = m->next_frame_gpa;
	r = memory_add_slot(m, gpa, (void *)data.start, text.end - data.start, 0);
	if (r == 0)
		m->next_frame_gpa += GPA_UNIT;
	mutex_unlock(&m->memory_lock);
	if (r < 0) {
		log_dbg(KVM, "the host's vDSO cannot be mapped: %d", r);
		return;
	}
	m->vdso_gpa = gpa;
	m->vdso_size = text.end - data.start;
	v->gpa = gpa;
	v->vvar_len = data.end - data.start;
	v->vdso_len = text.end - text.start;
	v->vdso = (const void *)text.start;
}
