/* What depends on more than an address and a port: ranges of ports, who asks, on which VLAN. src/xdp/refinements.rs writes
 * the arrays and draws them; crates/route/src/refinement.rs says what they mean. Every step is bounded, and an index that
 * leads nowhere says that no route takes the question. */

enum { NONE = 0xffffffff };
/* How many cells a map has: of 65,536 selectors, of 4,096 VIDs, two bytes each. */
enum { PORT_MAP_CELLS = 2048, VLAN_MAP_CELLS = 128 };

/* The two cells from REFINEMENTS_CELL on: tables, and where the arrays begin. */
struct refinements {
	struct table selectors;
	struct table exceptions;
	u32 groups;
	u32 cells;
	u32 verdicts;
	u32 port_maps;
};
struct refinements_too {
	struct sources sources;
	u32 vlan_maps;
	u32 limits;
};
_Static_assert(sizeof(struct refinements) == CELL_SIZE && sizeof(struct refinements_too) == CELL_SIZE, "a cell each");

/* A question of which nothing is known by its address and port alone. */
struct asked {
	struct source source;
	u32 group;
	u32 selector;
	u32 vid;
};

/* Which cell of a group has a selector: one more than its place, or 0. */
static ALWAYS_INLINE u32 cell_index(struct map *image, const struct refinements *about, u32 port_map,
				    const struct asked *asked)
{
	if (port_map == NONE) {
		const u32 *found = find_word(image, &about->selectors, (u64)asked->group << 16 | asked->selector);

		return found ? *found : 0;
	}

	u32 place = about->port_maps + port_map * PORT_MAP_CELLS + (asked->selector >> 5);
	const u16 *ports = cell(image, place);

	return ports ? ports[asked->selector & 31] : 0;
}

/* What is said of a question:
 *
 *   31          30..29   28..13                    12..2                     1..0
 *  +-----------+--------+-------------------------+-------------------------+------+
 *  | REFLECTED |   0    | route, one more, or 0   | limit, one more, or 0   | tier |
 *  +-----------+--------+-------------------------+-------------------------+------+
 *
 * REFLECTED: the answer goes back to the station that asked, wherever the asker is. */
enum { REFLECTED = 1U << 31, SAID_LIMIT = 2, SAID_ROUTE = 13, LIMIT_MASK = 0x7ff, ROUTE_MASK = 0xffff };

static ALWAYS_INLINE u8 tier_said(u32 said)
{
	return said & 3;
}

static ALWAYS_INLINE u32 limit_of(u32 said)
{
	return said >> SAID_LIMIT & LIMIT_MASK;
}

static ALWAYS_INLINE u32 route_of(u32 said)
{
	return said >> SAID_ROUTE & ROUTE_MASK;
}

/* The same of a question that a claim names by itself: it has no limit, and `answer` asks its class what is reflected. */
static ALWAYS_INLINE u32 said_of(const struct class *class)
{
	return tier_of(class) | (group_of(class) & ROUTE_MASK) << SAID_ROUTE;
}

/* What is said of a question that depends on more, or T_NOBODY. */
static ALWAYS_INLINE u32 refine(struct map *image, int is_ipv6, const struct asked *asked)
{
	const struct refinements *about = cell(image, REFINEMENTS_CELL);
	const struct refinements_too *too = cell(image, REFINEMENTS_CELL + 1);

	if (!about || !too)
		return T_NOBODY;

	const u32 *groups = cell(image, about->groups + (asked->group >> 3));

	if (!groups)
		return T_NOBODY;

	u32 first = groups[(asked->group & 7) * 2 + 1];
	u32 index = cell_index(image, about, groups[(asked->group & 7) * 2], asked);

	if (!index)
		return T_NOBODY;
	index += first - 1;

	const u32 *cells = cell(image, about->cells + (index >> 2));

	if (!cells)
		return T_NOBODY;
	cells += (index & 3) * 4;

	u32 source_map = cells[0], vlan_map = cells[1], place = cells[2];

	if (source_map != NONE)
		place += source_class(image, &too->sources, source_map, is_ipv6, &asked->source);

	const u32 *verdicts = cell(image, about->verdicts + (place >> 4));

	if (!verdicts)
		return T_NOBODY;

	u32 verdict = verdicts[place & 15];

	if (vlan_map == NONE)
		return verdict;

	const u16 *vlans = cell(image, too->vlan_maps + vlan_map * VLAN_MAP_CELLS + (asked->vid >> 5));

	if (!vlans)
		return T_NOBODY;

	const u32 *exception = find_word(image, &about->exceptions, (u64)place << 16 | vlans[asked->vid & 31]);

	return exception ? *exception : verdict;
}
