/* SPDX-License-Identifier: MIT */
/* Messages to the VMM's stderr copy; log.h says who may use them. */
/* host syscalls: write fstat rename openat dup3 close */
#include "emul/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emul/base/mutex.h"


unsigned log_mask;
bool log_verbose;
static int log_fd = 2;

#define FOLLOW_MAX 4
static struct mutex bound_lock = MUTEX_INIT;
static struct { const char *file; unsigned long max; int also[FOLLOW_MAX]; unsigned nalso; } bound; /* constant once set */

static const char *const category_text[LOG_NCATEGORIES] = {
#define LOG_TEXT(name, text) [LOG_##name] = text,
	LOG_CATEGORIES(LOG_TEXT)
#undef LOG_TEXT
};

/* The mask bit of one word, 0 if it is unknown. */
static unsigned word_mask(const char *word, size_t len)
{
	if (len == 3 && !memcmp(word, "all", 3))
		return (1u << LOG_NCATEGORIES) - 1;
	for (int i = 0; i < LOG_NCATEGORIES; i++)
		if (strlen(category_text[i]) == len && !memcmp(word, category_text[i], len))
			return 1u << i;
	return 0;
}

int log_set_categories(const char *list)
{
	unsigned mask = 0;

	while (*list) {
		size_t len = strcspn(list, ",");
		unsigned bit = word_mask(list, len);

		if (!bit)
			return -EINVAL;
		mask |= bit;
		list += len;
		if (*list == ',')
			list++;
	}
	log_mask = mask;
	return 0;
}

void log_set_fd(int fd)
{
	log_fd = fd;
}

void log_bound(const char *file, unsigned long max, const int *also, unsigned n)
{
	for (unsigned i = 0; i < n && i < FOLLOW_MAX; i++)
		bound.also[bound.nalso++] = also[i];
	bound.max = max;
	bound.file = file;
}

/* The other descriptors' writers add to the same file: its size is asked, not counted. */
static void begin_anew(void)
{
	char old[4096];
	int fd;

	if (snprintf(old, sizeof(old), "%s.1", bound.file) >= (int)sizeof(old) || rename(bound.file, old) < 0)
		return;
	fd = open(bound.file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	dup3(fd, log_fd, O_CLOEXEC);
	for (unsigned i = 0; i < bound.nalso; i++)
		dup2(fd, bound.also[i]);
	close(fd);
}

static void keep_bound(size_t more)
{
	struct stat st;

	mutex_lock(&bound_lock);
	if (fstat(log_fd, &st) == 0 && S_ISREG(st.st_mode) && (unsigned long)st.st_size + more > bound.max)
		begin_anew();
	mutex_unlock(&bound_lock);
}

void log_write(const char *prefix, const char *fmt, ...)
{
	int saved = errno;
	char line[1024];
	va_list ap;
	int n, m;

	n = snprintf(line, sizeof(line) - 1, "vmrun: %s: ", prefix);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
	va_end(ap);
	if (m < 0)
		m = 0;
	n = n + m < (int)sizeof(line) - 2 ? n + m : (int)sizeof(line) - 2; /* a long one is cut */
	line[n++] = '\n';
	if (bound.file)
		keep_bound((size_t)n);
	if (write(log_fd, line, n) < 0)
		(void)0; /* nowhere left to complain */
	errno = saved;
}

bool log_first_time(_Atomic bool *seen)
{
	return !atomic_exchange_explicit(seen, true, memory_order_relaxed);
}
