/* SPDX-License-Identifier: MIT */
/* --volume HOST:GUEST[:ro]: the host side may be relative to the caller's directory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/vmrun/options.h"

int volume_parse(const char *text, struct instance_volume *ret, char *err, unsigned long err_size)
{
	char *copy = strdup(text), *guest, *mode;

	if (!copy) {
		snprintf(err, err_size, "out of memory");
		return -1;
	}
	guest = strchr(copy, ':');
	if (!guest || guest[1] != '/') {
		snprintf(err, err_size, "--volume '%s': give HOST:GUEST[:ro] with an absolute GUEST", text);
		free(copy);
		return -1;
	}
	*guest++ = '\0';
	mode = strchr(guest, ':');
	if (mode)
		*mode++ = '\0';
	if (mode && strcmp(mode, "ro") && strcmp(mode, "rw")) {
		snprintf(err, err_size, "--volume '%s': the mode is ro or rw", text);
		free(copy);
		return -1;
	}
	ret->host = realpath(copy, NULL);
	if (!ret->host) {
		snprintf(err, err_size, "--volume '%s': %s: %s", text, copy, strerror(errno));
		free(copy);
		return -1;
	}
	ret->guest = guest; /* keeps copy alive: options live as long as the process */
	ret->read_only = mode && !strcmp(mode, "ro");
	return 0;
}
