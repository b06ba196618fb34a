/* What became of the questions of each route that are answered here; those that a lane answers it counts itself
 * (crates/route/src/counts.rs). src/xdp/routes.rs reads the counts.
 *
 * There are two halves, by the number of the claims: which route an index means is said by the claims that are in force,
 * and when others take their place, what was counted by the old ones stands still. */

extern struct map routes;

enum { ROUTE_COUNT_MAX = 1 << 10 };

struct route_count {
	u64 taken;
	u64 unanswered;
};

/* Counts a question that a route took. `route` is one more than its index, or 0; `action` is what became of the question,
 * and where that is somebody else's answer, nothing is counted. */
static ALWAYS_INLINE int count_route(const struct packet *packet, u32 route, int action)
{
	u32 index = route - 1;

	if (index >= ROUTE_COUNT_MAX || (action != XDP_TX && action != XDP_DROP))
		return action;
	index += (packet->header->generation & 1) * ROUTE_COUNT_MAX;

	struct route_count *count = map_lookup(&routes, &index);

	if (count) {
		count->taken += 1;
		count->unanswered += action == XDP_DROP;
	}
	return action;
}
