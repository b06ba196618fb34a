/* The driver tier's answers: those of crates/lane/src/respond, byte for byte, with the same checks in the same order.
 *
 * What cannot be finished here goes to the lane as it came: a datagram that ends before its packet does, a frame with more
 * behind its packet than padding, a solicitation with other options than the asker's address, ARP that is no request.
 * So everything is judged before the first byte is written, and the frame's length is changed before that too. */

static long (*const adjust_tail)(struct xdp_md *context, int delta) = (void *)65;

static ALWAYS_INLINE int to_lane(const struct packet *packet);

enum { FRAME_LEN_MIN = 60 };
/* The longest packet that is answered here; what is longer is the lane's to judge. */
enum { PACKET_LEN_MAX = SUMMED_MAX - BLOCK };

static ALWAYS_INLINE u8 *start(const struct packet *packet)
{
	return (u8 *)(u64)packet->context->data;
}

static ALWAYS_INLINE u8 *end(const struct packet *packet)
{
	return (u8 *)(u64)packet->context->data_end;
}

/* Whether this is the byte that there is. It is read each time, so that the verifier forgets what it was. */
static ALWAYS_INLINE int is_of(u8 protocol, const u8 *field)
{
	return *(const volatile u8 *)field == protocol;
}

/* Gives the frame the length of an answer that ends at `answer_end`, padded with zeros, where its question ended at
 * `question_end`. Gives the frame's beginning; nothing, and has changed nothing, where the frame is neither as long as its
 * answer nor ends with its question, or cannot grow.
 *
 * Lengths are told by comparing addresses: to subtract them would need CAP_PERFMON. */
static ALWAYS_INLINE u8 *make_room(const struct packet *packet, u32 question_end, u32 answer_end)
{
	u32 len = answer_end < FRAME_LEN_MIN ? FRAME_LEN_MIN : answer_end;
	u8 *frame = start(packet);

	if (frame + len > end(packet) || frame + len + 1 <= end(packet)) {
		if (frame + question_end > end(packet) || frame + question_end + 1 <= end(packet))
			return 0;
		if (adjust_tail(packet->context, (int)len - (int)question_end))
			return 0;
		frame = start(packet);
	}
	if (answer_end < FRAME_LEN_MIN) {
		if (frame + FRAME_LEN_MIN > end(packet))
			return 0;
#pragma unroll
		for (u32 at = ETHERNET_LEN + ARP_LEN; at < FRAME_LEN_MIN; at++) {
			if (at >= answer_end)
				frame[at] = 0;
		}
	}
	return frame;
}

static ALWAYS_INLINE void copy6(u8 *to, const u8 *from)
{
	*(u32 *)to = load32(from);
	*(u16 *)(to + 4) = load16(from + 4);
}

/* Sends the frame to a station, from us. */
static ALWAYS_INLINE void send_to(const struct packet *packet, u8 *frame, const struct mac *to)
{
	*(u32 *)frame = to->first;
	*(u16 *)(frame + 4) = to->last;
	copy6(frame + 6, packet->header->mac);
}

/* Whether the frame says that it comes from a group, or from ourselves. */
static ALWAYS_INLINE int has_wrong_source(const struct packet *packet)
{
	const u8 *frame = packet->frame;
	const u8 *own = packet->header->mac;

	return frame[6] & 1 || (load32(frame + 6) == load32(own) && load16(frame + 10) == load16(own + 4));
}

/* A word under a checksum has become less by `change`: RFC 1624, as crates/wire/src/checksum.rs has it. */
static ALWAYS_INLINE u16 update(u16 checksum, u16 change)
{
	u16 updated = checksum - change;

	return checksum < change ? updated - 1 : updated;
}

/* What a UDP checksum says, and what the answer's is. */
enum checksum { C_RIGHT, C_ABSENT, C_PARTIAL, C_WRONG };

static ALWAYS_INLINE enum checksum check_udp(u16 checksum, u64 datagram, u64 pseudo, u16 *answer)
{
	u16 made = ~fold(datagram + pseudo + (u16)~checksum);

	*answer = checksum;
	if (checksum != 0 && fold(datagram + pseudo) == 0xffff)
		return C_RIGHT;
	if (checksum == 0)
		made = ~fold(datagram + pseudo);
	*answer = made ? made : 0xffff;
	if (checksum == 0)
		return C_ABSENT;
	return checksum == fold(pseudo) ? C_PARTIAL : C_WRONG;
}

/* The pseudo-header's part but for the addresses. */
static ALWAYS_INLINE u64 pseudo_rest(u8 protocol, u32 len)
{
	return (u64)__builtin_bswap16(len) + ((u64)protocol << 8);
}

/* Whether an IPv4 source is a single host's, not the link's broadcast address, and not our own. */
static ALWAYS_INLINE int may_ask4(const u8 *ip, u32 broadcast)
{
	u8 first = ip[12];
	u32 source = load32(ip + 12);

	return first != 0 && first != 127 && first < 224 && source != broadcast && source != load32(ip + 16);
}

static ALWAYS_INLINE int is_right4(const u8 *ip)
{
	return fold(sum8(ip) + sum8(ip + 8) + load32(ip + 16)) == 0xffff;
}

/* The answer's header: to whom it came from, as long as it was, with its DSCP; not to be fragmented. */
static ALWAYS_INLINE void turn4(u8 *ip, u8 hop_limit)
{
	u32 asker = load32(ip + 12), own = load32(ip + 16);
	u32 first = (load32(ip) & 0xfffffc00) | 0x45;
	u32 third = (u32)ip[9] << 8 | hop_limit;
	u16 checksum = ~fold((u64)first + 0x40 + third + asker + own);

	*(u32 *)ip = first;
	*(u32 *)(ip + 4) = 0x400000; /* not to be fragmented (RFC 6864 4.1) */
	*(u32 *)(ip + 8) = third | (u32)checksum << 16;
	*(u32 *)(ip + 12) = own;
	*(u32 *)(ip + 16) = asker;
}

/* An echo request, whose checksum is right, becomes its reply. Where the reply consists of zeros alone, its checksum is
 * 0xffff; an update gives zero. */
static ALWAYS_INLINE int reply_echo4(const struct packet *packet, u32 packet_end, u64 message, const struct mac *to)
{
	u8 *frame = make_room(packet, packet_end, packet_end);

	if (!frame)
		return to_lane(packet);
	if (frame + ETHERNET_LEN > end(packet) || frame + packet->network + IPV4_LEN + UDP_LEN > end(packet))
		return to_lane(packet);

	u8 *ip = frame + packet->network, *icmp = ip + IPV4_LEN;
	u16 updated = update(load16(icmp + 2), 0xfff7);

	if (updated == 0 && message == load32(icmp))
		updated = 0xffff;
	turn4(ip, packet->header->hop_limit);
	*(u16 *)icmp = 0;
	*(u16 *)(icmp + 2) = updated;
	send_to(packet, frame, to);
	count(packet, REPLIED_ICMPV4);
	return XDP_TX;
}

static ALWAYS_INLINE int reply_udp4(const struct packet *packet, u32 packet_end, u16 checksum, const struct mac *to)
{
	u8 *frame = make_room(packet, packet_end, packet_end);

	if (!frame)
		return to_lane(packet);
	if (frame + ETHERNET_LEN > end(packet) || frame + packet->network + IPV4_LEN + UDP_LEN > end(packet))
		return to_lane(packet);

	u8 *ip = frame + packet->network, *udp = ip + IPV4_LEN;
	u32 ports = load32(udp);

	turn4(ip, packet->header->hop_limit);
	*(u32 *)udp = ports << 16 | ports >> 16;
	*(u16 *)(udp + 6) = checksum;
	send_to(packet, frame, to);
	count(packet, REPLIED_UDP);
	return XDP_TX;
}

/* What is wrong with a datagram, or 0; its answer's checksum, and whether its own was a partial one. */
static ALWAYS_INLINE u32 fault_of_udp4(const struct packet *packet, const u8 *ip, u32 len, u64 datagram, u16 *checksum,
				       int *is_partial)
{
	const u8 *udp = ip + IPV4_LEN;
	u64 pseudo = sum8(ip + 12) + pseudo_rest(UDP, len);

	if (refuses_source(packet->image, load16(udp)))
		return UDP_SOURCE_PORT;

	enum checksum judged = check_udp(load16(udp + 6), datagram, pseudo, checksum);

	*is_partial = judged == C_PARTIAL;
	if (judged == C_WRONG || (judged == C_PARTIAL && !(packet->header->flags & ACCEPTS_PARTIAL)))
		return UDP_CHECKSUM;
	return 0;
}

/* Whether an asker is on the link of the address that he asks, so that his answer goes back to the station that asked. */
static ALWAYS_INLINE int is_on_link4(const u8 *ip, u32 len)
{
	u32 differ = __builtin_bswap32(load32(ip + 12) ^ load32(ip + 16));

	return len > 32 || (differ & (u32)(0xffffffff00000000ULL >> len)) == 0;
}

/* A claimed question over plain IPv4, of which 28 bytes are there. */
static ALWAYS_INLINE int answer4(const struct packet *packet, const u8 *ip, const u8 *stop, const struct class *class,
				 u32 link_len)
{
	/* A way that the verifier does not know, so that it goes through the rest once for all ways. */
	u32 broadcast = class->broadcast, way = LINK + packet->header->zero, fault = 0;
	const u8 *transport = ip + IPV4_LEN;
	u32 total_len = be16(load16(ip + 2)), len = total_len - IPV4_LEN;
	int is_partial = 0;
	u64 summed = 0;
	u16 checksum = 0;

	if (total_len < IPV4_LEN || ip + total_len > stop)
		return drop(packet, IPV4_LENGTH);
	if (!is_right4(ip))
		return drop(packet, IPV4_CHECKSUM);
	if (total_len < IPV4_LEN + UDP_LEN)
		return drop(packet, is_of(UDP, ip + 9) ? UDP_LENGTH : ICMP_LENGTH);
	if (is_of(UDP, ip + 9) && be16(load16(transport + 4)) - UDP_LEN > len - UDP_LEN)
		return drop(packet, UDP_LENGTH);
	if (has_wrong_source(packet))
		return drop(packet, ETHERNET_SOURCE);
	if (total_len > PACKET_LEN_MAX || (is_of(UDP, ip + 9) && be16(load16(transport + 4)) != len))
		return to_lane(packet);
	if (!is_on_link4(ip, link_len)) {
		struct source asker = source4(ip);

		way = way_to(packet->image, 0, &asker);
	}
	if (!sum(transport, stop, len, ip + 2, IPV4_LEN, packet->header->zero, &summed))
		return to_lane(packet);
	if (!may_ask4(ip, broadcast))
		return drop(packet, SOURCE_INVALID);
	if (is_of(UDP, ip + 9))
		fault = fault_of_udp4(packet, ip, len, summed, &checksum, &is_partial);
	else if (fold(summed) != 0xffff)
		fault = ICMP_CHECKSUM;
	if (fault)
		return drop(packet, fault);

	struct mac to = mac_at(packet->frame + 6);
	int action;

	fault = find_station(packet->image, way, &to);
	if (fault)
		action = drop(packet, fault);
	else if (is_of(UDP, ip + 9))
		action = reply_udp4(packet, packet->network + total_len, checksum, &to);
	else
		action = reply_echo4(packet, packet->network + total_len, summed, &to);
	if (is_partial && action != XDP_REDIRECT && action != XDP_PASS)
		count(packet, UDP_CHECKSUM_PARTIAL);
	return action;
}

static ALWAYS_INLINE u64 sum16(const u8 *at)
{
	return sum8(at) + sum8(at + 8);
}

/* The unspecified and the loopback address but for its last bit; whose, and of a group. */
static ALWAYS_INLINE int is_nobody(const u8 *address)
{
	return load64(address) == 0 && (load64(address + 8) & ~(1ULL << 56)) == 0;
}

static ALWAYS_INLINE int may_ask6(const u8 *ip, const u8 *own)
{
	const u8 *source = ip + 8;

	return !is_nobody(source) && source[0] != 0xff
	       && !(load64(source) == load64(own) && load64(source + 8) == load64(own + 8));
}

/* The answer's header: to whom it came from, as long as it was, with its DSCP, of another flow. */
static ALWAYS_INLINE void turn6(u8 *ip, u8 hop_limit)
{
	u64 asker_high = load64(ip + 8), asker_low = load64(ip + 16);
	u64 own_high = load64(ip + 24), own_low = load64(ip + 32);

	*(u32 *)ip = (load32(ip) & 0x0000c00f) | 0x60;
	ip[7] = hop_limit;
	*(u64 *)(ip + 8) = own_high;
	*(u64 *)(ip + 16) = own_low;
	*(u64 *)(ip + 24) = asker_high;
	*(u64 *)(ip + 32) = asker_low;
}

static ALWAYS_INLINE int reply6(const struct packet *packet, u32 packet_end, int is_udp, u16 checksum,
				const struct mac *to)
{
	u8 *frame = make_room(packet, packet_end, packet_end);

	if (!frame)
		return to_lane(packet);
	if (frame + ETHERNET_LEN > end(packet) || frame + packet->network + IPV6_LEN + UDP_LEN > end(packet))
		return to_lane(packet);

	u8 *ip = frame + packet->network, *transport = ip + IPV6_LEN;

	turn6(ip, packet->header->hop_limit);
	if (is_udp) {
		u32 ports = load32(transport);

		*(u32 *)transport = ports << 16 | ports >> 16;
		*(u16 *)(transport + 6) = checksum;
	} else {
		*(u16 *)transport = ECHO_REPLY6;
		*(u16 *)(transport + 2) = update(load16(transport + 2), 1);
	}
	send_to(packet, frame, to);
	count(packet, is_udp ? REPLIED_UDP : REPLIED_ICMPV6);
	return XDP_TX;
}

/* As `fault_of_udp4`. */
static ALWAYS_INLINE u32 fault_of_udp6(const struct packet *packet, const u8 *ip, u64 datagram, u64 pseudo, u16 *checksum,
				       int *is_partial)
{
	const u8 *udp = ip + IPV6_LEN;

	if (refuses_source(packet->image, load16(udp)))
		return UDP_SOURCE_PORT;

	enum checksum judged = check_udp(load16(udp + 6), datagram, pseudo, checksum);

	*is_partial = judged == C_PARTIAL;
	if (judged == C_ABSENT)
		return UDP_CHECKSUM_MISSING;
	if (judged == C_WRONG || (judged == C_PARTIAL && !(packet->header->flags & ACCEPTS_PARTIAL)))
		return UDP_CHECKSUM;
	return 0;
}

/* As `is_on_link4`; who has an address for this link alone (RFC 4291 2.5.6) is on it. */
static ALWAYS_INLINE int is_on_link6(const u8 *ip, u32 len)
{
	u64 high = __builtin_bswap64(load64(ip + 8) ^ load64(ip + 24));
	u64 low = __builtin_bswap64(load64(ip + 16) ^ load64(ip + 32));

	if ((load16(ip + 8) & BE16(0xffc0)) == BE16(0xfe80))
		return 1;
	if (len <= 64)
		return len == 0 || (high & ones_from(64 - len)) == 0;
	return high == 0 && (low & ones_from(len < 128 ? 128 - len : 0)) == 0;
}

/* A claimed question over plain IPv6, of which 48 bytes are there. */
static ALWAYS_INLINE int answer6(const struct packet *packet, const u8 *ip, const u8 *stop, u32 link_len)
{
	const u8 *transport = ip + IPV6_LEN;
	u32 len = be16(load16(ip + 4));
	u32 way = LINK + packet->header->zero, fault = 0;
	int is_partial = 0;
	u16 checksum = 0;
	u64 summed = 0, pseudo = sum16(ip + 8) + sum16(ip + 24) + pseudo_rest(ip[6], len);

	if (transport + len > stop)
		return drop(packet, IPV6_LENGTH);
	if (len < UDP_LEN)
		return drop(packet, is_of(UDP, ip + 6) ? UDP_LENGTH : ICMP_LENGTH);
	if (is_of(UDP, ip + 6) && be16(load16(transport + 4)) - UDP_LEN > len - UDP_LEN)
		return drop(packet, UDP_LENGTH);
	if (has_wrong_source(packet))
		return drop(packet, ETHERNET_SOURCE);
	if (len > PACKET_LEN_MAX - IPV6_LEN || (is_of(UDP, ip + 6) && be16(load16(transport + 4)) != len))
		return to_lane(packet);
	if (!may_ask6(ip, ip + 24))
		return drop(packet, SOURCE_INVALID);
	if (!is_on_link6(ip, link_len)) {
		struct source asker = source6(ip);

		way = way_to(packet->image, 1, &asker);
	}
	if (!sum(transport, stop, len, ip + 4, 0, packet->header->zero, &summed))
		return to_lane(packet);
	if (is_of(UDP, ip + 6))
		fault = fault_of_udp6(packet, ip, summed, pseudo, &checksum, &is_partial);
	else if (fold(summed + pseudo) != 0xffff)
		fault = ICMP_CHECKSUM;
	if (fault)
		return drop(packet, fault);

	struct mac to = mac_at(packet->frame + 6);
	int action;

	fault = find_station(packet->image, way, &to);
	if (fault)
		action = drop(packet, fault);
	else
		action = reply6(packet, packet->network + IPV6_LEN + len, is_of(UDP, ip + 6), checksum, &to);
	if (is_partial && action != XDP_REDIRECT && action != XDP_PASS)
		count(packet, UDP_CHECKSUM_PARTIAL);
	return action;
}

/* Writes the advertisement (RFC 4861 4.4): to the asker; or, where the question came from nobody, to all nodes. */
static ALWAYS_INLINE int advertise(const struct packet *packet, u32 question_end, int is_probe)
{
	u32 answer_end = packet->network + IPV6_LEN + ADVERTISEMENT_LEN;
	u8 *frame = make_room(packet, question_end, answer_end);

	if (!frame)
		return to_lane(packet);
	if (frame + ETHERNET_LEN > end(packet) || frame + packet->network + IPV6_LEN + ADVERTISEMENT_LEN > end(packet))
		return to_lane(packet);

	u8 *ip = frame + packet->network, *message = ip + IPV6_LEN;
	u64 asker_high = load64(ip + 8), asker_low = load64(ip + 16);
	u64 own_high = load64(message + 8), own_low = load64(message + 16);

	if (is_probe) {
		*(u32 *)frame = 0x00003333;
		*(u16 *)(frame + 4) = BE16(1);
		asker_high = 0x02ff;
		asker_low = 1ULL << 56;
	} else {
		copy6(frame, frame + 6);
	}
	copy6(frame + 6, packet->header->mac);
	*(u32 *)ip = 0x60;
	*(u32 *)(ip + 4) = BE16(ADVERTISEMENT_LEN) | (u32)ICMPV6 << 16 | 255U << 24;
	*(u64 *)(ip + 8) = own_high;
	*(u64 *)(ip + 16) = own_low;
	*(u64 *)(ip + 24) = asker_high;
	*(u64 *)(ip + 32) = asker_low;
	*(u32 *)message = ADVERTISEMENT;
	*(u32 *)(message + 4) = is_probe ? OVERRIDE : SOLICITED | OVERRIDE;
	*(u16 *)(message + 24) = TARGET_OPTION;
	copy6(message + 26, packet->header->mac);

	u64 summed = sum16(ip + 8) + sum16(ip + 24) + pseudo_rest(ICMPV6, ADVERTISEMENT_LEN);

	summed += sum16(message) + sum16(message + 16);
	*(u16 *)(message + 2) = ~fold(summed);
	count(packet, REPLIED_NDP);
	return XDP_TX;
}

/* ff02::1:ffXX:XXXX (RFC 4291 2.7.1). */
static ALWAYS_INLINE int is_solicited_node(const u8 *address)
{
	return load64(address) == 0x02ff && (load64(address + 8) & 0xffffffffff) == 0xff01000000;
}

/* A solicitation for our address (RFC 4861 7.1.1), of which 64 bytes are there: without options, or with the asker's
 * Ethernet address alone. */
static ALWAYS_INLINE int answer_solicitation(const struct packet *packet, const u8 *ip, const u8 *stop)
{
	const u8 *message = ip + IPV6_LEN;
	u32 len = be16(load16(ip + 4));
	u64 summed = sum16(ip + 8) + sum16(ip + 24) + pseudo_rest(ICMPV6, len);
	int has_option = len == SOLICITATION_LEN + 8;
	int is_probe = (load64(ip + 8) | load64(ip + 16)) == 0;
	const u8 *frame = packet->frame;

	if (message + len > stop)
		return drop(packet, IPV6_LENGTH);
	if (len < SOLICITATION_LEN)
		return drop(packet, len < UDP_LEN ? ICMP_LENGTH : NDP_MALFORMED);
	/* A frame to many must be to a group of IPv6 (RFC 2464 7). */
	if (frame[0] & 1 && load16(frame) != 0x3333)
		return drop(packet, ETHERNET_NOT_OURS);
	if (has_wrong_source(packet))
		return drop(packet, ETHERNET_SOURCE);
	if (len != SOLICITATION_LEN && !has_option)
		return to_lane(packet);
	if (has_option && (message + SOLICITATION_LEN + 8 > stop || load16(message + SOLICITATION_LEN) != SOURCE_OPTION))
		return to_lane(packet);
	if (ip[7] != 255)
		return drop(packet, NDP_HOP_LIMIT);
	summed += sum16(message) + sum8(message + 16);
	if (has_option)
		summed += sum8(message + SOLICITATION_LEN);
	if (fold(summed) != 0xffff)
		return drop(packet, ICMP_CHECKSUM);
	if (message[1] != 0 || (is_probe && (has_option || !is_solicited_node(ip + 24))))
		return drop(packet, NDP_MALFORMED);
	if (!is_probe && !may_ask6(ip, message + 8))
		return drop(packet, SOURCE_INVALID);
	return advertise(packet, packet->network + IPV6_LEN + len, is_probe);
}

/* A request for our address (RFC 826), of which all is there, by somebody who does not say that he has it. */
static ALWAYS_INLINE int answer_arp(const struct packet *packet, const u8 *at)
{
	const u8 *own = packet->header->mac;

	if (has_wrong_source(packet))
		return drop(packet, ETHERNET_SOURCE);
	if (at[8] & 1 || (load32(at + 8) == load32(own) && load16(at + 12) == load16(own + 4)))
		return drop(packet, ARP_MALFORMED);

	u8 *frame = make_room(packet, packet->network + ARP_LEN, packet->network + ARP_LEN);

	if (!frame)
		return to_lane(packet);
	if (frame + ETHERNET_LEN > end(packet) || frame + packet->network + ARP_LEN > end(packet))
		return to_lane(packet);

	u8 *arp = frame + packet->network;
	u32 target = load32(arp + 24);

	copy6(arp + 18, arp + 8);
	*(u32 *)(arp + 24) = load32(arp + 14);
	*(u16 *)(arp + 6) = BE16(2);
	copy6(arp + 8, own);
	*(u32 *)(arp + 14) = target;
	copy6(frame, arp + 18);
	copy6(frame + 6, own);
	count(packet, REPLIED_ARP);
	return XDP_TX;
}
