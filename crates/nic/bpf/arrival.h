/* When a frame came, written before it for the lane that gets it: the kernel's metadata, which it copies with the frame
 * where it copies (`xsk_copy_xdp`, net/xdp/xsk.c), and which lies in the lane's own memory where it does not.
 * crates/nic/src/xdp/stamped.rs reads it.
 *
 *   ┌──────────┬───────┬───────┐
 *   │ headroom │ stamp │ frame │
 *   └──────────┴───────┴───────┘
 *
 * The second word says that the first one is a stamp. A driver without room for metadata leaves there what there was. */

static long (*const adjust_meta)(struct xdp_md *context, int by) = (void *)54;

struct arrival {
	u64 ns; /* CLOCK_MONOTONIC */
	u64 check;
};
_Static_assert(sizeof(struct arrival) == 16, "as the lane reads it");

#define ARRIVAL_CHECK 0x62617265206c616eULL

/* Behind the decision, since all that the verifier knows of the frame ends here. */
static ALWAYS_INLINE void stamp_arrival(const struct packet *packet)
{
	if (!(packet->header->flags & STAMPS_ARRIVALS) || adjust_meta(packet->context, -(int)sizeof(struct arrival)))
		return;

	struct arrival *arrival = (struct arrival *)(u64)packet->context->data_meta;

	if ((u8 *)(arrival + 1) > (u8 *)(u64)packet->context->data)
		return;
	arrival->ns = now_ns();
	arrival->check = arrival->ns ^ ARRIVAL_CHECK;
}
