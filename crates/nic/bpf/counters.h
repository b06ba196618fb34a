/* THE counter table's rows (crates/telemetry/src/counters.rs), in its order: what the program counts, it counts under the
 * same names as a lane. crates/barelane/tests/driver compares the two. */

enum counter {
	RX,
	REPLIED_ARP,
	REPLIED_NDP,
	REPLIED_ICMPV4,
	REPLIED_ICMPV6,
	REPLIED_UDP,
	REPLIED_STAMP,
	REPLIED_SOCKPERF,
	REPLIED_UNREACHABLE,
	PASSED,
	TO_LANE,
	ARP_CONFLICT,
	UDP_CHECKSUM_PARTIAL,
	ARRIVAL_UNKNOWN,
	TRANSMIT_UNKNOWN,
	STREAM_EVICTED,
	WARMED,
	TURNS,
	TURNS_EMPTY,
	TABLES_TAKEN,
	NEXT_HOPS_TAKEN,
	ANSWER_TOO_OLD,
	FRAME_TRUNCATED,
	ETHERNET_NOT_OURS,
	ETHERNET_SOURCE,
	ETHERTYPE_UNKNOWN,
	VLAN_TOO_DEEP,
	VLAN_NOT_SERVED,
	ARP_MALFORMED,
	ARP_NOT_REQUEST,
	IPV4_VERSION,
	IPV4_LENGTH,
	IPV4_CHECKSUM,
	IPV4_OPTIONS,
	IPV4_FRAGMENT,
	IPV6_VERSION,
	IPV6_LENGTH,
	IPV6_EXTENSION,
	PROTOCOL_UNKNOWN,
	ICMP_LENGTH,
	UDP_LENGTH,
	SOURCE_INVALID,
	UNCLAIMED,
	ICMP_CHECKSUM,
	UDP_CHECKSUM,
	UDP_CHECKSUM_MISSING,
	UDP_SOURCE_PORT,
	STAMP_MALFORMED,
	STAMP_SHORT,
	STAMP_HMAC,
	SOCKPERF_MALFORMED,
	SOCKPERF_NOT_CLIENT,
	SOCKPERF_WARM_UP,
	SOCKPERF_SILENT,
	NDP_HOP_LIMIT,
	NDP_MALFORMED,
	ARP_CONFLICT_WITHHELD,
	ROUTE_LIMITED,
	SOURCE_LIMITED,
	ERROR_WITHHELD,
	NEXT_HOP_UNRESOLVED,
	NEXT_HOP_ELSEWHERE,
	TAILROOM_MISSING,
	TX_RING_FULL,
	COUNTER_COUNT,
};

/* One packet's way through the program. */
struct packet {
	struct xdp_md *context;
	struct map *image;
	const struct header *header;
	u64 *counts;
	const u8 *frame; /* as it came, of which the Ethernet header is there */
	u32 network;	 /* where the network header begins: 14, 18 or 22 */
	u32 vid;	 /* the innermost tag's that names a VLAN, or 0 */
};

/* Per CPU, and a program is not interrupted by itself. */
static ALWAYS_INLINE void count(const struct packet *packet, enum counter counter)
{
	packet->counts[counter] += 1;
}

static ALWAYS_INLINE int drop(const struct packet *packet, enum counter reason)
{
	count(packet, reason);
	return XDP_DROP;
}

static ALWAYS_INLINE int pass(const struct packet *packet)
{
	count(packet, PASSED);
	return XDP_PASS;
}
