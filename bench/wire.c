/* SPDX-License-Identifier: MIT */
/*
 * One TCP stream from this end of a network to the other. usage: wire serve PORT | wire send|receive ADDRESS PORT SECONDS
 * The end that asks prints "wire_send VALUE Gbit/s"; what is sent counts once the other end has it.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buf[256 << 10];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t take(int fd, double until)
{
	uint64_t sum = 0;
	ssize_t n;

	while ((!until || now() < until) && (n = read(fd, buf, sizeof(buf))) > 0)
		sum += (uint64_t)n;
	return sum;
}

static void give(int fd, double until)
{
	while ((!until || now() < until) && write(fd, buf, sizeof(buf)) > 0)
		;
}

static void serve_one(int fd)
{
	char what;
	uint64_t sum;

	if (read(fd, &what, 1) == 1 && what == 's') {
		sum = take(fd, 0);
		if (write(fd, &sum, sizeof(sum)) < 0)
			perror("wire");
	} else {
		give(fd, 0);
	}
	close(fd);
}

static struct sockaddr_in address(const char *addr, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	inet_pton(AF_INET, addr, &in.sin_addr);
	return in;
}

static int serve(const char *port)
{
	struct sockaddr_in in = address("0.0.0.0", port);
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, fd;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(s, 5) < 0) {
		perror("wire");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while ((fd = accept(s, NULL, NULL)) >= 0)
		serve_one(fd);
	return 1;
}

static int ask(const char *what, const char *addr, const char *port, double seconds)
{
	struct sockaddr_in in = address(addr, port);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	double begin;
	uint64_t sum = 0;

	if (connect(s, (struct sockaddr *)&in, sizeof(in)) < 0 || write(s, what, 1) != 1) {
		perror("wire");
		return 1;
	}
	begin = now();
	if (what[0] == 's') {
		give(s, begin + seconds);
		shutdown(s, SHUT_WR);
		if (read(s, &sum, sizeof(sum)) != sizeof(sum))
			return 1;
	} else {
		sum = take(s, begin + seconds);
	}
	printf("wire_%s %.3f Gbit/s\n", what, (double)sum * 8 / 1e9 / (now() - begin));
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if (argc == 5)
		return ask(argv[1], argv[2], argv[3], atof(argv[4]));
	fprintf(stderr, "usage: wire serve PORT | wire send|receive ADDRESS PORT SECONDS\n");
	return 2;
}
