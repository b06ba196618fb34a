/* Durations in ticks of the time-stamp counter, counted in a log-linear histogram.
 *
 * Each power of two is cut into STEPS buckets of equal width, and what is below STEPS is exact: a bucket is no wider than
 * 1/STEPS of what is in it, so that its middle is wrong by less than 1 %. Minimum and maximum are exact. */

enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS, BUCKET_COUNT = (65 - STEP_BITS) * STEPS };

struct ticks {
	uint64_t min, max, count;
	uint64_t buckets[BUCKET_COUNT];
};

static inline unsigned bucket_of(uint64_t ticks)
{
	unsigned shift = ticks < STEPS ? 0 : 63 - STEP_BITS - __builtin_clzll(ticks);

	return shift * STEPS + (ticks >> shift);
}

static inline double middle_of(unsigned bucket)
{
	unsigned shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
	double first = (double)(bucket - shift * STEPS) * (double)(1ull << shift);

	return first + ((double)(1ull << shift) - 1) / 2;
}

static inline void ticks_add(struct ticks *all, uint64_t ticks)
{
	all->buckets[bucket_of(ticks)]++;
	all->count++;
	if (ticks < all->min)
		all->min = ticks;
	if (ticks > all->max)
		all->max = ticks;
}

/* The value that `share` of all do not exceed, within a bucket, and never beyond the extremes. */
static inline double ticks_at(const struct ticks *all, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)all->count), seen = 0;
	unsigned bucket = 0;

	if (wanted >= all->count)
		wanted = all->count - 1;
	while (bucket + 1 < BUCKET_COUNT && (seen += all->buckets[bucket]) <= wanted)
		bucket++;
	double middle = middle_of(bucket);
	return middle < (double)all->min ? (double)all->min : middle > (double)all->max ? (double)all->max : middle;
}
