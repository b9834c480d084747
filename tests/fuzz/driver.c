/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer.
 *   fuzz_x              a series of mutated seeds, always the same, for at most a few seconds
 *   fuzz_x -n RUNS -s SEED   another one
 *   fuzz_x -c DIR       writes the seeds there, as a corpus for libFuzzer
 *   fuzz_x FILE...      these inputs
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define POPULATION 64
#define SECONDS 5

struct input { size_t len; uint8_t data[FUZZ_MAX]; };

static struct input population[POPULATION];
static unsigned npopulation;
static uint64_t state = 1;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

static size_t below(size_t n)
{
	return n ? (size_t)((rnd() >> 16) % n) : 0;
}

static void insert(struct input *in, size_t at, const uint8_t *data, size_t n)
{
	n = n < FUZZ_MAX - in->len ? n : FUZZ_MAX - in->len;
	memmove(in->data + at + n, in->data + at, in->len - at);
	memmove(in->data + at, data, n);
	in->len += n;
}

static void mutate(struct input *in)
{
	static const uint32_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 4, 8, 16, 64, 4096 };
	size_t at = below(in->len), n = below(8) + 1;
	const struct input *other = &population[below(npopulation)];
	uint32_t v = edges[below(sizeof(edges) / sizeof(edges[0]))];
	uint8_t noise[8];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)rnd();
	switch (below(7)) {
	case 0:
		if (in->len)
			in->data[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		if (in->len)
			in->data[at] = (uint8_t)rnd();
		break;
	case 2:
		if (in->len - at >= sizeof(v))
			memcpy(in->data + at, &v, (size_t)1 << below(3));
		break;
	case 3:
		insert(in, at, noise, n);
		break;
	case 4:
		n = n < in->len - at ? n : in->len - at;
		memmove(in->data + at, in->data + at + n, in->len - at - n);
		in->len -= n;
		break;
	case 5: /* the tail of another one */
		n = below(other->len);
		n = n < FUZZ_MAX - at ? n : FUZZ_MAX - at;
		memmove(in->data + at, other->data + other->len - n, n);
		in->len = at + n;
		break;
	default:
		n = below(other->len);
		insert(in, at, other->data, n);
	}
}

static int run_file(const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	LLVMFuzzerTestOneInput(buf, n);
	return 0;
}

static int write_corpus(const char *dir)
{
	for (unsigned i = 0; i < npopulation; i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed%u", dir, i);
		f = fopen(path, "wb");
		if (!f || fwrite(population[i].data, 1, population[i].len, f) != population[i].len || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static void series(unsigned long runs, int seconds)
{
	time_t end = time(NULL) + seconds;
	unsigned long i;

	for (unsigned k = 0; k < npopulation; k++)
		LLVMFuzzerTestOneInput(population[k].data, population[k].len);
	for (i = 0; i < runs && (i % 64 || time(NULL) < end); i++) {
		static struct input in;
		size_t place = below(POPULATION);

		in = population[below(npopulation)];
		for (size_t k = below(6) + 1; k; k--)
			mutate(&in);
		LLVMFuzzerTestOneInput(in.data, in.len);
		if (below(8) == 0 && place >= npopulation && npopulation < POPULATION)
			population[npopulation++] = in;
	}
	printf("%lu inputs\n", i);
}

int main(int argc, char **argv)
{
	unsigned long runs = 20000;
	const char *corpus = NULL;
	int opt, r = 0, seconds = SECONDS;

	while ((opt = getopt(argc, argv, "c:n:s:t:")) != -1)
		switch (opt) {
		case 'c': corpus = optarg; break;
		case 'n': runs = strtoul(optarg, NULL, 0); break;
		case 's': state = strtoul(optarg, NULL, 0) * 0x9e3779b97f4a7c15ull + 1; break;
		case 't': seconds = atoi(optarg); break;
		default: return 2;
		}
	while (npopulation < POPULATION / 2 && (population[npopulation].len = fuzz_seed(npopulation, population[npopulation].data)))
		npopulation++;
	if (corpus)
		return write_corpus(corpus);
	for (int i = optind; i < argc; i++)
		r |= run_file(argv[i]);
	if (optind == argc)
		series(runs, seconds);
	return r;
}
