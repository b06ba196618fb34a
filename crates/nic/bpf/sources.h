/* From a source to its class, by the longest prefix that it has: a binary search over the prefix lengths in use.
 * src/xdp/sources.rs writes the arrays; crates/route/src/refinement/sources.rs says how they are searched. */

/* With all 129 lengths of IPv6 in use, a search ends after eight probes. */
enum { PROBES_MAX = 8 };

/* Tables, and where the arrays begin. */
struct sources {
	struct table nodes4;
	struct table nodes6;
	u32 source_maps;
	u32 lengths;
};

/* An address, its first bit the highest of 128, or of the lower 32. */
struct source {
	u64 high;
	u64 low;
};

static ALWAYS_INLINE struct source source4(const u8 *ip)
{
	return (struct source){ .low = __builtin_bswap32(load32(ip + 12)) };
}

static ALWAYS_INLINE struct source source6(const u8 *ip)
{
	return (struct source){ .high = __builtin_bswap64(load64(ip + 8)), .low = __builtin_bswap64(load64(ip + 16)) };
}

static ALWAYS_INLINE u64 ones_from(u32 shift)
{
	return shift > 63 ? 0 : ~0ULL << shift;
}

/* The class of the longest prefix of this length that the source has; nothing where it has none. */
static ALWAYS_INLINE const u32 *node4(struct map *image, const struct sources *sources, u32 source_map, u32 len,
				      const struct source *source)
{
	u64 masked = source->low & ones_from(32 - len) & 0xffffffff;

	return find_word(image, &sources->nodes4, (u64)source_map << 38 | (u64)len << 32 | masked);
}

static ALWAYS_INLINE const u32 *node6(struct map *image, const struct sources *sources, u32 source_map, u32 len,
				      const struct source *source)
{
	u64 high = source->high & (len < 64 ? ones_from(64 - len) : ~0ULL);
	u64 low = source->low & (len > 64 ? ones_from(128 - len) : 0);

	return find_words(image, &sources->nodes6, high, low, (u64)source_map << 8 | len);
}

/* The class of the source in a source map; 0 where none of its prefixes is one of the source's. */
static ALWAYS_INLINE u32 source_class(struct map *image, const struct sources *sources, u32 source_map, int is_ipv6,
				      const struct source *source)
{
	const u32 *source_maps = cell(image, sources->source_maps + (source_map >> 3));
	u32 class = 0;

	if (!source_maps)
		return 0;

	u32 low = source_maps[(source_map & 7) * 2], high = low + source_maps[(source_map & 7) * 2 + 1];

#pragma nounroll
	for (int probe = 0; probe < PROBES_MAX; probe++) {
		if (low >= high)
			break;

		u32 middle = (low + high) / 2;
		const u8 *lengths = cell(image, sources->lengths + (middle >> 6));

		if (!lengths)
			break;

		u32 len = lengths[middle & 63];
		const u32 *found = is_ipv6 ? node6(image, sources, source_map, len, source)
					   : node4(image, sources, source_map, len, source);

		if (found) {
			class = *found;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return class;
}
