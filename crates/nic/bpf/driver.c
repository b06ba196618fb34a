/* The driver tier: which frames are answered here, which a lane gets, and which the kernel keeps.
 *
 *                          ┌─ claimed (address, protocol, port or type) ─┬─ tier driver ─▶ answered, sent from here
 *                          │                                             ├─ tier lane ───▶ lane
 *   frame ─ Ethernet ─ IP ─┤                                             └─ tier kernel ─▶ as below
 *           0..2 tags      ├─ address that only Barelane owns ─ UDP, ARP, NS ─▶ lane
 *                          │                                  ─ anything else ▶ drop, counted
 *                          └─ everything else ────────────────────────────────▶ kernel
 *
 * A tagged frame is of another network, where the same address may be somebody else's: only the VLANs that the settings
 * name are looked at, and where a frame has two tags, both must be named (docs/decisions/0007-vlans.md).
 *
 * What was redirected cannot go back to the kernel, so only what a lane can answer is redirected: plain IPv4 (no
 * options, no fragment) and plain IPv6 (no extension header), and of ICMP and ICMPv6 only messages of code 0. Whatever
 * else comes to an address that the kernel owns is the kernel's. Where only Barelane owns the address, the kernel would
 * forward or refuse it, so it ends here, counted with the reason that a lane would give.
 *
 * `cargo xtask bpf` compiles this to src/xdp/program/driver.rs. The maps are undefined symbols here; the loader puts
 * their file descriptors where the relocations say. Fields stay in the network's byte order. */

#include "xdp.h"
#include "image.h"
#include "checksum.h"
#include "sources.h"
#include "refine.h"
#include "counters.h"
#include "limit.h"
#include "routes.h"
#include "next_hop.h"
#include "arrival.h"

extern struct map images, counts, sockets;

static long (*const redirect_map)(struct map *map, u64 key, u64 otherwise) = (void *)51;

/* ICMP and ICMPv6 types and flags, as they lie in memory. */
enum { SOLICITATION_TYPE = 135, SOLICITATION_LEN = 24, ADVERTISEMENT_LEN = 32 };
enum { ADVERTISEMENT = 136, ECHO_REPLY6 = 129, SOLICITED = 0x40, OVERRIDE = 0x20 };
enum { SOURCE_OPTION = 0x0101, TARGET_OPTION = 0x0102 };
enum { DESTINATION_OPTIONS = 60, MOBILITY = 135, HIP = 139, SHIM6 = 140, TEST_1 = 253, TEST_2 = 254 };

#include "answer.h"

/* To the lane of this queue; to the kernel as long as no lane is there. */
static ALWAYS_INLINE int to_lane(const struct packet *packet)
{
	int action = redirect_map(&sockets, packet->context->rx_queue_index, XDP_PASS);

	count(packet, action == XDP_REDIRECT ? TO_LANE : PASSED);
	return action;
}

static ALWAYS_INLINE int is_owned4(const struct packet *packet, u32 address)
{
	return find4(packet->image, packet->header, ANY_QUESTION(K_ARP) | address) != 0;
}

static ALWAYS_INLINE int is_owned6(const struct packet *packet, const u8 *address)
{
	u64 question = QUESTION(K_SOLICITATION, SOLICITATION_TYPE << 8);

	return find6(packet->image, packet->header, load64(address), load64(address + 8), question) != 0;
}

/* ARP (RFC 826): questions for our addresses, and whoever else says that he has one (RFC 5227 2.4). */
static ALWAYS_INLINE int arp(const struct packet *packet, const u8 *at, const u8 *stop)
{
	if (at + ARP_LEN > stop)
		return pass(packet);

	int is_request = load64(at) == 0x0100040600080100; /* Ethernet, IPv4, 6 and 4 bytes, a request */
	u64 question = is_request ? QUESTION(K_ARP, BE16(1)) : ANY_QUESTION(K_ARP);
	const struct class *class = find4(packet->image, packet->header, question | load32(at + 24));
	int is_conflict = is_owned4(packet, load32(at + 14));

	if (is_request && class && !is_conflict && tier_of(class) == T_DRIVER)
		return answer_arp(packet, at);
	return class || is_conflict ? to_lane(packet) : pass(packet);
}

/* Why an IPv4 packet to an address of ours ends here: the first reason, as `ipv4_fault` in crates/wire/src/parse.rs. */
static ALWAYS_INLINE enum counter reason4(const u8 *ip, const u8 *stop)
{
	u32 header_len = (ip[0] & 0x0f) * 4, total_len = be16(load16(ip + 2));
	u8 protocol = ip[9];
	u64 summed = 0;

	if (ip[0] >> 4 != 4)
		return IPV4_VERSION;
	if (header_len < IPV4_LEN || header_len > total_len || ip + total_len > stop)
		return IPV4_LENGTH;
#pragma unroll
	for (u32 at = 0; at < 60; at += 4) {
		if (at < header_len && ip + at + 4 <= stop)
			summed += load32(ip + at);
	}
	if (fold(summed) != 0xffff)
		return IPV4_CHECKSUM;
	if (header_len > IPV4_LEN)
		return IPV4_OPTIONS;
	if (load16(ip + 6) & BE16(0x3fff)) /* more fragments, or an offset */
		return IPV4_FRAGMENT;
	if (protocol == UDP)
		return UDP_LENGTH;
	if (protocol == ICMP)
		return total_len < IPV4_LEN + UDP_LEN ? ICMP_LENGTH : UNCLAIMED;
	return PROTOCOL_UNKNOWN;
}

/* What `refine` says of a question that no claim names by itself; T_NOBODY where nothing is said of it. `ip` has 20
 * bytes. */
static ALWAYS_INLINE u32 refined4(const struct packet *packet, const u8 *ip, enum kind kind, u32 selector,
				 const struct class **any)
{
	*any = find4(packet->image, packet->header, ANY_QUESTION(kind) | load32(ip + 16));
	if (!*any || group_of(*any) == 0)
		return T_NOBODY;

	struct asked asked = { .source = source4(ip),
			       .group = group_of(*any) - 1,
			       .selector = selector,
			       .vid = packet->vid };

	return refine(packet->image, 0, &asked);
}

/* Answers as often as the limit says, if there is one, to whom the verdict says. */
static ALWAYS_INLINE int answer4_within(const struct packet *packet, const u8 *ip, const u8 *stop,
					const struct class *class, u32 said)
{
	u32 limit = limit_of(said), link_len = said & REFLECTED ? 0 : link_len_of(class);
	struct permit permit = unlimited(packet);

	if (limit) {
		u32 reached = ask(packet, limit, __builtin_bswap32(load32(ip + 12)), 1, &permit);

		if (reached)
			return count_route(packet, route_of(said), drop(packet, reached));
	}

	int action = answer4(packet, ip, stop, class, link_len);

	if (action == XDP_TX && limit + packet->header->zero)
		take(&permit);
	return count_route(packet, route_of(said), action);
}

static ALWAYS_INLINE int ipv4(const struct packet *packet, const u8 *ip, const u8 *stop)
{
	if (ip + IPV4_LEN > stop)
		return pass(packet);

	const struct class *class = 0;
	u8 protocol = ip[9];
	u32 own = load32(ip + 16);
	/* Version 4, no options, no fragment: `Ipv4::is_plain`. */
	int is_plain = (load64(ip) & 0xff3f0000000000ff) == 0x45;
	int has_ports = is_plain && (protocol == UDP || protocol == ICMP) && ip + IPV4_LEN + UDP_LEN <= stop;
	u32 said = T_NOBODY;

	if (has_ports) {
		const u8 *transport = ip + IPV4_LEN;
		enum kind kind = protocol == UDP ? K_UDPV4 : K_ICMPV4;
		u16 selector = protocol == UDP ? load16(transport + 2) : transport[0] << 8;

		class = find4(packet->image, packet->header, QUESTION(kind, selector) | own);
		said = class ? said_of(class) : refined4(packet, ip, kind, be16(selector), &class);
		if (tier_said(said) != T_NOBODY && (protocol == UDP || transport[1] == 0)) {
			if (tier_said(said) == T_DRIVER && class)
				return answer4_within(packet, ip, stop, class, said);
			if (tier_said(said) == T_LANE)
				return to_lane(packet);
		}
	}
	if (!is_owned4(packet, own))
		return pass(packet);
	/* Closed ports too, echo requests of another code, and what a route leaves to a kernel that does not have the address:
	 * the lane says what is to be said of them. */
	if (has_ports && (protocol == UDP || tier_said(said) != T_NOBODY))
		return to_lane(packet);
	return drop(packet, reason4(ip, stop));
}

static ALWAYS_INLINE int is_extension(u8 next)
{
	switch (next) {
	case HOP_BY_HOP:
	case ROUTING:
	case FRAGMENT:
	case ESP:
	case AH:
	case DESTINATION_OPTIONS:
	case MOBILITY:
	case HIP:
	case SHIM6:
	case TEST_1:
	case TEST_2:
		return 1;
	}
	return 0;
}

/* Why an IPv6 packet to an address of ours ends here: the first reason, as `ipv6` in crates/wire/src/parse.rs. */
static ALWAYS_INLINE enum counter reason6(const u8 *ip, const u8 *stop)
{
	u32 len = be16(load16(ip + 4));
	u8 next = ip[6];

	if (ip[0] >> 4 != 6)
		return IPV6_VERSION;
	if (ip + IPV6_LEN + len > stop)
		return IPV6_LENGTH;
	if (next == UDP)
		return UDP_LENGTH;
	if (next != ICMPV6)
		return is_extension(next) ? IPV6_EXTENSION : PROTOCOL_UNKNOWN;
	if (len < UDP_LEN || ip + IPV6_LEN + UDP_LEN > stop)
		return ICMP_LENGTH;
	return ip[IPV6_LEN] == SOLICITATION_TYPE && len < SOLICITATION_LEN ? NDP_MALFORMED : UNCLAIMED;
}

/* As `refined4`; `ip` has 40 bytes. */
static ALWAYS_INLINE u32 refined6(const struct packet *packet, const u8 *ip, enum kind kind, u32 selector,
				  const struct class **any)
{
	*any = find6(packet->image, packet->header, load64(ip + 24), load64(ip + 32), ANY_QUESTION(kind));
	if (!*any || group_of(*any) == 0)
		return T_NOBODY;

	struct asked asked = { .source = source6(ip),
			       .group = group_of(*any) - 1,
			       .selector = selector,
			       .vid = packet->vid };

	return refine(packet->image, 1, &asked);
}

static ALWAYS_INLINE int answer6_within(const struct packet *packet, const u8 *ip, const u8 *stop,
					const struct class *class, u32 said)
{
	u32 limit = limit_of(said), link_len = said & REFLECTED ? 0 : link_len_of(class);
	struct permit permit = unlimited(packet);

	if (limit) {
		u32 reached = ask(packet, limit, __builtin_bswap64(load64(ip + 8)), 0, &permit);

		if (reached)
			return count_route(packet, route_of(said), drop(packet, reached));
	}

	int action = answer6(packet, ip, stop, link_len);

	if (action == XDP_TX && limit + packet->header->zero)
		take(&permit);
	return count_route(packet, route_of(said), action);
}

static ALWAYS_INLINE int ipv6(const struct packet *packet, const u8 *ip, const u8 *stop, int is_group)
{
	if (ip + IPV6_LEN > stop)
		return pass(packet);

	const struct class *class = 0;
	const u8 *transport = ip + IPV6_LEN;
	u8 next = ip[6];
	u32 said = T_NOBODY;
	int is_ipv6 = ip[0] >> 4 == 6;

	/* A neighbour solicitation (RFC 4861 4.3) is for whom it asks, not for the group that it is sent to. */
	if (is_ipv6 && next == ICMPV6 && transport + SOLICITATION_LEN <= stop && transport[0] == SOLICITATION_TYPE) {
		u64 question = QUESTION(K_SOLICITATION, SOLICITATION_TYPE << 8);

		class = find6(packet->image, packet->header, load64(transport + 8), load64(transport + 16), question);
		if (class)
			return tier_of(class) == T_DRIVER ? answer_solicitation(packet, ip, stop) : to_lane(packet);
	}
	if (is_group)
		return pass(packet);

	/* Nor does it know on, of which packets so much was there. */
	ip = start(packet) + packet->network;
	if (ip + IPV6_LEN > stop)
		return pass(packet);
	transport = ip + IPV6_LEN;

	int has_ports = is_ipv6 && (next == UDP || next == ICMPV6) && transport + UDP_LEN <= stop;

	if (has_ports) {
		enum kind kind = next == UDP ? K_UDPV6 : K_ICMPV6;
		u16 selector = next == UDP ? load16(transport + 2) : transport[0] << 8;

		class = find6(packet->image, packet->header, load64(ip + 24), load64(ip + 32),
			      QUESTION(kind, selector));
		said = class ? said_of(class) : refined6(packet, ip, kind, be16(selector), &class);
		if (tier_said(said) != T_NOBODY && (next == UDP || transport[1] == 0)) {
			if (tier_said(said) == T_DRIVER && class)
				return answer6_within(packet, ip, stop, class, said);
			if (tier_said(said) == T_LANE)
				return to_lane(packet);
		}
	}
	if (!is_owned6(packet, ip + 24))
		return pass(packet);
	if (has_ports && (next == UDP || tier_said(said) != T_NOBODY))
		return to_lane(packet);
	return drop(packet, reason6(ip, stop));
}

/* The frame of which `packet` says all but where its network header begins. */
static ALWAYS_INLINE int judge(struct packet *packet)
{
	const u8 *at = start(packet), *stop = end(packet), *own = packet->header->mac;

	if (at + ETHERNET_LEN > stop)
		return pass(packet);

	int is_ours = load32(at) == load32(own) && load16(at + 4) == load16(own + 4);
	int is_broadcast = load32(at) == 0xffffffff && load16(at + 4) == 0xffff;
	int is_group = at[0] & 1;

	if (!is_ours && !is_group)
		return pass(packet);

	u16 type = load16(at + 12);

	at += ETHERNET_LEN;
	packet->network = ETHERNET_LEN;
#pragma unroll
	for (int tags = 0; tags < 2; tags++) {
		if (type != BE16(0x8100) && type != BE16(0x88a8))
			break;
		if (at + VLAN_LEN > stop || !is_served(packet->image, at))
			return pass(packet);
		u32 vid = (at[0] & 0x0f) << 8 | at[1];

		packet->vid = vid ? vid : packet->vid;
		type = load16(at + 2);
		at += VLAN_LEN;
		packet->network += VLAN_LEN;
	}

	/* What the verifier knows of how many tags there were ends here, so that it goes through the rest once for all. */
	packet->network = (packet->network + packet->header->zero) & 31;
	packet->vid += packet->header->zero;
	packet->frame = start(packet);
	stop = end(packet);
	HIDE(packet->frame);
	if (packet->frame + ETHERNET_LEN > stop)
		return pass(packet);
	at = start(packet) + packet->network;

	if (type == BE16(0x0800) && is_ours)
		return ipv4(packet, at, stop);
	if (type == BE16(0x86dd))
		return ipv6(packet, at, stop, is_group);
	if (type == BE16(0x0806) && (is_ours || is_broadcast))
		return arp(packet, at, stop);
	return pass(packet);
}

__attribute__((section("xdp"), used)) int driver(struct xdp_md *context)
{
	u32 zero = 0;
	struct packet packet = { .context = context };

	packet.image = map_lookup(&images, &zero);
	packet.counts = map_lookup(&counts, &zero);
	if (!packet.image || !packet.counts)
		return XDP_PASS;
	packet.header = cell(packet.image, 0);
	if (!packet.header)
		return XDP_PASS;
	count(&packet, RX);

	int action = judge(&packet);

	if (action == XDP_REDIRECT)
		stamp_arrival(&packet);
	return action;
}
