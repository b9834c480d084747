/* SPDX-License-Identifier: MIT */
#include "vmm/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/types.h"
#include "vmm/meeting.h"
#include "vmm/wire.h"

/* --- the request ---------------------------------------------------------------------------------------------- */

static void put_string(FILE *f, const char *s)
{
	fwrite(s ? s : "", 1, s ? strlen(s) + 1 : 1, f);
}

static int put_strings(FILE *f, char **v)
{
	int n = 0;

	for (; v[n]; n++)
		put_string(f, v[n]);
	return n;
}

static json_t *numbers_of(const struct program_config *p)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < p->nfds; i++)
		json_array_append_new(list, json_integer(p->numbers[i]));
	return list;
}

/* given is consumed. */
static json_t *describe(const struct program_config *p, bool stays, int argc, int envc, json_t *given)
{
	json_t *json = json_pack("{s:s, s:i, s:i, s:i, s:o, s:b, s:b, s:b, s:b, s:b, s:b, s:i, s:o}", "op", "run", "version", WIRE_VERSION, "argc", argc, "envc",
				 envc, "numbers", numbers_of(p), "terminal", p->console >= 0, "controlled", p->controlled, "has_shell", p->has_shell,
				 "stays", stays, "leads_session", p->leads_session, "leads_group", p->leads_group, "umask", (int)p->umask, "given", given);

	if (json)
		json_object_update_new(json, json_pack("{s:I, s:I, s:b}", "ignored", (json_int_t)p->ignored, "blocked", (json_int_t)p->blocked,
						       "cwd_deleted", p->cwd_deleted));
	if (json && p->has_user)
		json_object_update_new(json, json_pack("{s:I, s:I}", "uid", (json_int_t)p->uid, "gid", (json_int_t)p->gid));
	return json;
}

int client_request(int fd, const struct program_config *p, bool stays, json_t *given)
{
	AUTO_FREE char *blob = NULL;
	size_t len;
	FILE *f = open_memstream(&blob, &len);
	int fds[WIRE_MAX_FDS], argc, envc;
	unsigned nfds = p->nfds;

	if (!f || nfds >= WIRE_MAX_FDS) {
		if (f)
			fclose(f);
		json_decref(given);
		return f ? -E2BIG : -ENOMEM;
	}
	put_string(f, p->host_cwd);
	put_string(f, p->cwd);
	argc = put_strings(f, p->argv);
	envc = put_strings(f, p->envp);
	if (fclose(f)) {
		json_decref(given);
		return -ENOMEM;
	}
	if (nfds)
		memcpy(fds, p->fds, nfds * sizeof(fds[0]));
	if (p->console >= 0)
		fds[nfds++] = p->console;
	return wire_send(fd, describe(p, stays, argc, envc, given), blob, len, fds, nfds);
}

int client_signal(int fd, int sig, bool front)
{
	return wire_send(fd, json_pack("{s:s, s:i, s:b}", "op", "signal", "signal", sig, "front", front), NULL, 0, NULL, 0);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static const struct { const char *name; enum client_what what; const char *number; } events[] = {
	{ "started", CLIENT_STARTED, "pid" },
	{ "error", CLIENT_REFUSED, "status" },
	{ "retry", CLIENT_RETRY, NULL },
	{ "wants-terminal", CLIENT_WANTS_TERMINAL, NULL },
	{ "stopped", CLIENT_STOPPED, "signal" },
	{ "reading", CLIENT_READING, "yes" },
	{ "writing", CLIENT_WRITING, "yes" },
	{ "left", CLIENT_LEFT, NULL },
	{ "exited", CLIENT_EXITED, "status" },
	{ "held", CLIENT_HELD, "pid" },
};

static void decode(const struct wire_message *m, struct client_event *ret)
{
	const char *event = wire_text(m, "event"), *text = wire_text(m, "text");

	for (size_t i = 0; event && i < ARRAY_SIZE(events); i++) {
		if (strcmp(event, events[i].name))
			continue;
		ret->what = events[i].what;
		if (events[i].number)
			ret->number = (int)wire_int(m, events[i].number, wire_bool(m, events[i].number));
		snprintf(ret->text, sizeof(ret->text), "%s", text ? text : "the instance refuses");
		return;
	}
}

void client_hear(int fd, int wait_ms, struct client_event *ret)
{
	struct wire_message m;
	int r = wire_recv(fd, &m, wait_ms);

	ret->what = r == -ETIMEDOUT ? CLIENT_NOTHING : CLIENT_LOST;
	ret->number = 0;
	ret->text[0] = '\0';
	if (r < 0)
		return;
	decode(&m, ret);
	wire_message_fini(&m);
}

/* --- questions --------------------------------------------------------------------------------------------------- */

int client_ask(const struct meeting *m, json_t *what, int wait_ms, json_t **ret, char *text, unsigned long size)
{
	AUTO_FD fd = meeting_connect(m, wait_ms);
	struct wire_message answer;
	int r = fd;

	if (fd >= 0)
		r = wire_send(fd, json_incref(what), NULL, 0, NULL, 0);
	json_decref(what);
	if (r >= 0)
		r = wire_recv(fd, &answer, wait_ms);
	if (r < 0)
		return r;
	r = wire_text(&answer, "error") != NULL;
	if (r)
		snprintf(text, size, "%s", wire_text(&answer, "error"));
	else
		*ret = json_incref(answer.json);
	wire_message_fini(&answer);
	return r;
}
