/* The driver's form of the route table, and how it is read. src/xdp/image.rs writes it.
 *
 *   cell   0          1..9     9..137    137..139      139..141    then
 *        ┌────────┬────────┬──────────┬─────────────┬───────────┬────────────────────────────┬───────────────┐
 *        │ header │ VLANs  │ refused  │ refinements │ next hops │ IPv4: displacements, slots │ IPv6: as IPv4 │ …
 *        └────────┴────────┴──────────┴─────────────┴───────────┴────────────────────────────┴───────────────┘
 *
 * An image is an array of cells of one cache line each. It is never changed, but for one word in which the program notes
 * which gateways it uses: a new one takes the place of the old one in
 * `images`, by one store, so that a packet is judged by one of the two and never by both. What holds an image counts as
 * in use until the packet is done (RCU).
 *
 * A look-up is the lane's, in the lane's own tables (crates/route/src/lookup.rs): two loads and one comparison, however
 * many routes there are. */

struct map;

static void *(*const map_lookup)(struct map *map, const void *key) = (void *)1;

enum { CELL_SIZE = 64, VLANS_CELL = 1, REFUSED_CELL = 9, REFINEMENTS_CELL = 137, NEXT_HOPS_CELL = 139 };

/* One of the two tables of an image: masks for its two indices, and its first cells. */
struct table {
	u64 seed;
	u32 bucket_mask;
	u32 slot_mask;
	u32 displacements;
	u32 slots;
};

struct header {
	struct table ipv4;
	struct table ipv6;
	u8 mac[6];
	u8 hop_limit;
	u8 flags;
	u32 generation;
	u32 zero;
};
_Static_assert(sizeof(struct header) == CELL_SIZE, "the header is one cell");

/* The bits of `flags`. */
enum { ACCEPTS_PARTIAL = 1, STAMPS_ARRIVALS = 2 };

/* Where a question is answered; or by no route, so that its address's owner has the word. */
enum tier { T_DRIVER, T_LANE, T_KERNEL, T_NOBODY };

struct class {
	u32 tier_and_refinement; /* the tier in 2 bits; in 8, the link's prefix length; above, one more than the group, or 0;
				  * where a question is named by itself, one more than the route, or 0 */
	u32 broadcast; /* IPv4: the link's broadcast address, which may not ask */
};
struct slot4 {
	u64 key;
	struct class class;
};
struct slot6 {
	u64 key[3];
	struct class class;
};
_Static_assert(sizeof(struct slot4) == 16 && sizeof(struct slot6) == 32, "4 and 2 slots a cell");

static ALWAYS_INLINE u8 tier_of(const struct class *class)
{
	return class->tier_and_refinement & 3;
}

/* How many bits of his address an asker on the link shares with ours; 0 where every answer is sent back. Of what a group has,
 * its verdict says that. */
static ALWAYS_INLINE u32 link_len_of(const struct class *class)
{
	return class->tier_and_refinement >> 2 & 0xff;
}

/* One more than the group that says the tier, or than the route that has it, or 0. */
static ALWAYS_INLINE u32 group_of(const struct class *class)
{
	return class->tier_and_refinement >> 10;
}

/* What a packet asks, beside whom. */
enum kind { K_ARP, K_ICMPV4, K_UDPV4, K_ICMPV6, K_SOLICITATION, K_UDPV6 };
#define QUESTION(kind, selector) ((u64)(selector) << 48 | (u64)((kind) ^ K_UDPV4) << 32)
#define ANY_QUESTION(kind) (QUESTION(kind, 0) | 1ULL << 40)

/* Both halves of the product of 128 bits in one, as `folded_product` does. */
static ALWAYS_INLINE u64 folded_product(u64 left, u64 right)
{
	u64 left_low = (u32)left, left_high = left >> 32, right_low = (u32)right, right_high = right >> 32;
	u64 low = left_low * right_low, cross = left_low * right_high, other = left_high * right_low;
	u64 carried = (low >> 32) + (u32)cross + (u32)other;

	return left * right ^ (left_high * right_high + (cross >> 32) + (other >> 32) + (carried >> 32));
}

static ALWAYS_INLINE const void *cell(struct map *image, u32 index)
{
	return map_lookup(image, &index);
}

/* Which slot of a table a hash belongs to; far outside of every image where the table is not whole. */
static ALWAYS_INLINE u32 place(struct map *image, const struct table *table, u64 hash)
{
	u32 bucket = (u32)hash & table->bucket_mask;
	const u32 *displacements = cell(image, table->displacements + (bucket >> 4));

	if (!displacements)
		return ~0U;
	return ((u32)(hash >> 32) ^ displacements[bucket & 15]) & table->slot_mask;
}

/* The value of a key of one word; nothing where there is no such key. */
static ALWAYS_INLINE const u32 *find_word(struct map *image, const struct table *table, u64 key)
{
	u32 index = place(image, table, folded_product(key, table->seed));
	const struct slot4 *slots = cell(image, table->slots + (index >> 2));

	if (!slots)
		return 0;
	slots += index & 3;
	return slots->key == key ? &slots->class.tier_and_refinement : 0;
}

#define FOLD 0xbf58476d1ce4e5b9ULL

/* The same for a key of three. */
static ALWAYS_INLINE const u32 *find_words(struct map *image, const struct table *table, u64 high, u64 low, u64 last)
{
	u64 hash = folded_product(folded_product(high ^ table->seed, low ^ FOLD) ^ last, table->seed);
	u32 index = place(image, table, hash);
	const struct slot6 *slots = cell(image, table->slots + (index >> 1));

	if (!slots)
		return 0;
	slots += index & 1;
	return slots->key[0] == high && slots->key[1] == low && slots->key[2] == last
		       ? &slots->class.tier_and_refinement
		       : 0;
}

/* The class of an IPv4 question, or nothing where no route has one. */
static ALWAYS_INLINE const struct class *find4(struct map *image, const struct header *header, u64 key)
{
	return (const struct class *)find_word(image, &header->ipv4, key);
}

/* The same over IPv6, where an address is two words. */
static ALWAYS_INLINE const struct class *find6(struct map *image, const struct header *header, u64 high, u64 low,
					       u64 question)
{
	return (const struct class *)find_words(image, &header->ipv6, high, low, question);
}

/* Whether the VLAN of a tag is served: the low 12 bits of its first two bytes (IEEE 802.1Q 9.6). VID 0 says that the
 * frame has a priority and no VLAN; its bit is set. */
static ALWAYS_INLINE int is_served(struct map *image, const u8 *tag)
{
	u32 vid = (tag[0] & 0x0f) << 8 | tag[1];
	const u8 *bits = cell(image, VLANS_CELL + (vid >> 9));

	return bits && bits[vid >> 3 & 63] >> (vid & 7) & 1;
}

/* Whether an answer to this UDP port, in memory order, could come back as a question. */
static ALWAYS_INLINE int refuses_source(struct map *image, u16 port)
{
	const u64 *bits = cell(image, REFUSED_CELL + (port >> 9));

	return !bits || bits[port >> 6 & 7] >> (port & 63) & 1;
}
