/* Where an answer goes whose asker is not on the link of the address that he asked: the lane's table
 * (crates/route/src/next_hops.rs), which says what its numbers mean. src/xdp/next_hops.rs writes it.
 *
 * It is a part of the image, so that a packet is judged and sent by one and the same. */

enum { LINK = 1, ELSEWHERE = 2, GATEWAYS = 3 };

/* The two cells from NEXT_HOPS_CELL on. */
struct next_hops {
	struct sources sources; /* source map 0 is of IPv4, 1 of IPv6 */
	u32 otherwise[2];	/* the number for whom no prefix has */
};
struct next_hops_too {
	u64 used; /* a bit for each gateway, by its index modulo 64: set here, and cleared by whoever reads it */
	u32 stations;
};
_Static_assert(sizeof(struct next_hops) == CELL_SIZE && sizeof(struct next_hops_too) <= CELL_SIZE, "a cell each");

struct station {
	u8 mac[6];
	u8 is_known;
	u8 unused;
};
_Static_assert(sizeof(struct station) == 8, "8 stations a cell");

/* An Ethernet address. */
struct mac {
	u32 first;
	u16 last;
};

static ALWAYS_INLINE struct mac mac_at(const u8 *at)
{
	return (struct mac){ load32(at), load16(at + 4) };
}

/* Notes that answers go by a gateway. */
static ALWAYS_INLINE void note_use(struct next_hops_too *too, u32 gateway)
{
	u64 bit = 1ULL << (gateway & 63);

	if (!(too->used & bit))
		__sync_fetch_and_or(&too->used, bit);
}

/* The number of the way to an asker that is not on the link. */
static ALWAYS_INLINE u32 way_to(struct map *image, int is_ipv6, const struct source *asker)
{
	const struct next_hops *next_hops = cell(image, NEXT_HOPS_CELL);

	if (!next_hops)
		return ELSEWHERE;

	u32 number = source_class(image, &next_hops->sources, is_ipv6, is_ipv6, asker);

	return number ? number : next_hops->otherwise[is_ipv6];
}

/* The station at the end of a way; 0, or why there is none. `to` is the station that asked until then. */
static ALWAYS_INLINE u32 find_station(struct map *image, u32 way, struct mac *to)
{
	if (way == LINK)
		return 0;

	struct next_hops_too *too = (struct next_hops_too *)cell(image, NEXT_HOPS_CELL + 1);
	u32 gateway = way - GATEWAYS;

	if (way < GATEWAYS || !too)
		return NEXT_HOP_ELSEWHERE;

	const struct station *station = cell(image, too->stations + (gateway >> 3));

	if (!station)
		return NEXT_HOP_ELSEWHERE;
	station += gateway & 7;
	note_use(too, gateway);
	if (!station->is_known)
		return NEXT_HOP_UNRESOLVED;
	*to = mac_at(station->mac);
	return 0;
}
