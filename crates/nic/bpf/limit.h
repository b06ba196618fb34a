/* How often a route answers, at most: all askers together, and each source by itself. A lane has the same
 * (crates/lane/src/limits.rs, crates/lane/src/bucket.rs), with buckets of its own.
 *
 * A bucket is one word: when it was last empty, in nanoseconds. All cores share them. Whether there is a token is asked
 * before the packet is looked at any further; it is taken when the answer is on its way, so that what the cores have
 * under way at one moment may be answered beyond the limit, and no more. */

extern struct map buckets, sources;

static u64 (*const now_ns)(void) = (void *)5; /* bpf_ktime_get_ns */

enum { SOURCE_COUNT = 1 << 16 };

/* An event each `interval`, as many at once as fit `depth`; an interval of 0 is no limit. A second each at most. */
struct pace {
	u32 interval;
	u32 depth;
};
/* The masks say which bits of an IPv4 source, and of the first 64 of an IPv6 source, tell it from others. */
struct limit {
	struct pace route;
	struct pace source;
	u64 ipv4_mask;
	u64 ipv6_mask;
};
_Static_assert(sizeof(struct limit) * 2 == CELL_SIZE, "two limits a cell, behind the one that has the seed");

/* A token that may be taken: what its bucket has now and what it will have; where there is no limit, a step of 0. */
struct token {
	u64 found;
	u64 after;
	u64 step;
};
/* Where the buckets are is told by their indices: an address would have the verifier go through all that follows twice. */
struct permit {
	struct token route;
	struct token source;
	u32 route_index;
	u32 source_index;
};

/* No limit at all, and the verifier does not know it. */
static ALWAYS_INLINE struct permit unlimited(const struct packet *packet)
{
	u64 zero = packet->header->zero;

	return (struct permit){ .route = { .step = zero }, .source = { .step = zero } };
}

/* Whether an event may happen now, as `Pace::after_event`. */
static ALWAYS_INLINE int may(const struct pace *pace, u64 now, struct token *token)
{
	u64 shifted = now + pace->depth, empty_at = token->found;

	if (empty_at < now)
		empty_at = now;
	token->after = empty_at + pace->interval;
	token->step = pace->interval;
	return token->after <= shifted;
}

/* Whether one more answer may be given: 0, or the counter of the limit that is reached. `limit` is one more than its index;
 * `source` is the asker's IPv4 address, or the first 64 bits of his IPv6 address. */
static ALWAYS_INLINE u32 ask(const struct packet *packet, u32 limit, u64 source, u64 is_ipv4, struct permit *permit)
{
	const struct refinements_too *too = cell(packet->image, REFINEMENTS_CELL + 1);

	if (!too)
		return ROUTE_LIMITED;

	u32 index = limit - 1;
	const u64 *seeds = cell(packet->image, too->limits);
	const struct limit *limits = cell(packet->image, too->limits + 1 + (index >> 1));

	if (!seeds || !limits)
		return ROUTE_LIMITED;
	limits += index & 1;

	u64 seed = seeds[0], now = now_ns();
	u64 prefix = source & (is_ipv4 ? limits->ipv4_mask : limits->ipv6_mask);
	u64 hash = folded_product(folded_product(prefix ^ seed, is_ipv4 ^ FOLD) ^ index, seed);
	u32 word = hash & (SOURCE_COUNT - 1);

	permit->route_index = index;
	permit->source_index = word;

	u64 *bucket = map_lookup(&buckets, &index), *used = map_lookup(&sources, &word);

	if (!bucket || !used)
		return ROUTE_LIMITED;
	if (limits->source.interval) {
		permit->source.found = *used;
		if (!may(&limits->source, now, &permit->source))
			return SOURCE_LIMITED;
	}
	if (limits->route.interval) {
		permit->route.found = *bucket;
		if (!may(&limits->route, now, &permit->route))
			return ROUTE_LIMITED;
	}
	return 0;
}

/* The answer is on its way. Where another core has taken a token in between, this one comes on top of it. */
static ALWAYS_INLINE void take_from(u64 *bucket, const struct token *token)
{
	if (!bucket || !token->step)
		return;
	if (__sync_val_compare_and_swap(bucket, token->found, token->after) != token->found)
		__sync_fetch_and_add(bucket, token->step);
}

static ALWAYS_INLINE void take(const struct permit *permit)
{
	take_from(map_lookup(&buckets, &permit->route_index), &permit->route);
	take_from(map_lookup(&sources, &permit->source_index), &permit->source);
}
