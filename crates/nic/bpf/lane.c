/* The XDP program: which frames a lane gets, and which the kernel keeps.
 *
 *                          ┌─ claimed (address, protocol, port or type) ──────▶ lane
 *   frame ─ Ethernet ─ IP ─┤
 *           0..2 tags      ├─ address that only Barelane owns ─ UDP, ARP, NS ─▶ lane
 *                          │                                  ─ anything else ▶ drop, counted
 *                          └─ everything else ────────────────────────────────▶ kernel
 *
 * A tagged frame is of another network, where the same address may be somebody else's: only the VLANs that the settings
 * name are looked at, and where a frame has two tags, both must be named (docs/decisions/0007-vlans.md).
 *
 * What was redirected cannot go back to the kernel, so only what a lane can answer is redirected: plain IPv4 (no
 * options, no fragment) and plain IPv6 (no extension header), and of ICMP and ICMPv6 only messages of code 0. Whatever else comes to an address that the kernel owns
 * is the kernel's. Where only Barelane owns the address, the kernel would forward or refuse it, so it ends here with
 * its reason.
 *
 * Nothing is included and no library is linked: the code depends on this file and the compiler's version alone.
 * `cargo xtask bpf` compiles it to src/xdp/program/lane.rs. The maps are undefined symbols here; the loader puts their
 * file descriptors where the relocations say. Their sizes stand in src/xdp/program.rs, and so do the sentences of the
 * drop reasons. Fields stay in the network's byte order; the loader writes keys in the same order. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define ALWAYS_INLINE inline __attribute__((always_inline))
/* Constants in the network's byte order, as a little-endian machine loads them (-target bpf is bpfel on x86-64). */
#define BE16(value) ((u16)((((value) & 0xff) << 8) | (((value) >> 8) & 0xff)))

/* include/uapi/linux/bpf.h: stable, since programs are compiled against it. */
struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};
enum { XDP_DROP = 1, XDP_PASS = 2 };

struct map;
extern struct map settings, claims, owned, drops, sockets;

static void *(*const map_lookup)(struct map *map, const void *key) = (void *)1;
static long (*const redirect_map)(struct map *map, u64 key, u64 otherwise) = (void *)51;

/* settings[0]: who we are on this link, and which VLANs of it we serve. */
struct settings_value {
	u32 mac_first;
	u16 mac_last;
	u16 unused;
	u8 vlans[512]; /* one bit for each of the 4,096 VIDs, the lowest first */
};
_Static_assert(sizeof(struct settings_value) == 520, "the loader writes 520 bytes");

/* A key of `claims`; with selector and protocol 0, a key of `owned`. */
struct key {
	u32 address[4]; /* IPv4: the last word, the others 0 */
	u16 selector;   /* UDP destination port; ICMP and ICMPv6 type */
	u8 protocol;
	u8 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct key) == 20, "the loader writes 20 bytes");

/* The indices of `drops`, in the order of DROPS in src/xdp/program/drops.rs. */
enum drop {
	DROP_IPV4_MALFORMED,
	DROP_IPV4_OPTIONS,
	DROP_IPV4_FRAGMENT,
	DROP_IPV6_MALFORMED,
	DROP_IPV6_EXTENSION,
	DROP_ICMP_UNCLAIMED,
	DROP_TCP,
	DROP_PROTOCOL_UNKNOWN,
};

enum { ETHERNET_LEN = 14, VLAN_LEN = 4, ARP_LEN = 28, IPV4_LEN = 20, IPV6_LEN = 40, UDP_LEN = 8 };
enum { SOLICITATION_LEN = 24, SOLICITATION = 135 };
enum { HOP_BY_HOP = 0, ICMP = 1, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT = 44, ESP = 50, AH = 51, ICMPV6 = 58 };
enum { DESTINATION_OPTIONS = 60, MOBILITY = 135, HIP = 139, SHIM6 = 140 };

static ALWAYS_INLINE u16 load16(const u8 *at)
{
	return *(const u16 *)at;
}

static ALWAYS_INLINE u32 load32(const u8 *at)
{
	return *(const u32 *)at;
}

/* Whether the VLAN of a tag is served: the low 12 bits of its first two bytes (IEEE 802.1Q 9.6). VID 0 says that the
 * frame has a priority and no VLAN; the loader has set its bit. */
static ALWAYS_INLINE int is_served(const struct settings_value *own, const u8 *tag)
{
	u32 vid = (tag[0] & 0x0f) << 8 | tag[1];

	return own->vlans[vid >> 3] >> (vid & 7) & 1;
}

/* Whether a claim can take an ICMP, ICMPv6 or UDP message. A lane answers ICMP messages of code 0 only, and a kernel
 * answers an echo request with whatever code: what is not ours must reach it. */
static ALWAYS_INLINE int is_claimable(int is_udp, const u8 *transport)
{
	return is_udp || transport[1] == 0;
}

/* To the lane of this queue; to the kernel as long as no lane is there. */
static ALWAYS_INLINE int to_lane(struct xdp_md *context)
{
	return redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

static ALWAYS_INLINE int drop(enum drop reason)
{
	u32 index = reason;
	u64 *count = map_lookup(&drops, &index);

	if (count)
		*count += 1; /* per CPU, and a program is not interrupted by itself */
	return XDP_DROP;
}

static ALWAYS_INLINE int is_owned_ipv4(u32 address)
{
	struct key key = { .address = { 0, 0, 0, address }, .family = 4 };

	return map_lookup(&owned, &key) != 0;
}

static ALWAYS_INLINE int is_owned_ipv6(const u8 *address)
{
	struct key key = { .family = 6 };

	for (int word = 0; word < 4; word++)
		key.address[word] = load32(address + 4 * word);
	return map_lookup(&owned, &key) != 0;
}

/* ARP (RFC 826): questions for our addresses, and whoever else says that he has one (RFC 5227 2.4). */
static ALWAYS_INLINE int arp(struct xdp_md *context, const u8 *at, const u8 *end)
{
	if (at + ARP_LEN > end)
		return XDP_PASS;
	if (is_owned_ipv4(load32(at + 24)) || is_owned_ipv4(load32(at + 14)))
		return to_lane(context);
	return XDP_PASS;
}

/* What is wrong with an IPv4 packet that no claim took. */
static ALWAYS_INLINE enum drop ipv4_reason(u8 version_and_length, int is_fragment, u8 protocol)
{
	if (version_and_length >> 4 != 4 || version_and_length < 0x45)
		return DROP_IPV4_MALFORMED;
	if (version_and_length > 0x45)
		return DROP_IPV4_OPTIONS;
	if (is_fragment)
		return DROP_IPV4_FRAGMENT;
	if (protocol == ICMP)
		return DROP_ICMP_UNCLAIMED;
	return protocol == TCP ? DROP_TCP : DROP_PROTOCOL_UNKNOWN;
}

static ALWAYS_INLINE int ipv4(struct xdp_md *context, const u8 *at, const u8 *end)
{
	if (at + IPV4_LEN > end)
		return XDP_PASS;

	struct key key = { .address = { 0, 0, 0, load32(at + 16) }, .family = 4 };
	u8 protocol = at[9];
	int is_fragment = (load16(at + 6) & BE16(0x3fff)) != 0; /* more fragments, or an offset */
	int is_plain = at[0] == 0x45 && !is_fragment;

	if (is_plain && (protocol == UDP || protocol == ICMP) && at + IPV4_LEN + UDP_LEN <= end) {
		const u8 *transport = at + IPV4_LEN;

		key.protocol = protocol;
		key.selector = protocol == UDP ? load16(transport + 2) : (u16)(transport[0] << 8);
		if (is_claimable(protocol == UDP, transport) && map_lookup(&claims, &key))
			return to_lane(context);
	}
	if (!is_owned_ipv4(key.address[3]))
		return XDP_PASS;
	if (is_plain && protocol == UDP)
		return to_lane(context); /* closed ports too: the lane says so to the sender */
	return drop(ipv4_reason(at[0], is_fragment, protocol));
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
		return 1;
	}
	return 0;
}

/* What is wrong with an IPv6 packet that no claim took. */
static ALWAYS_INLINE enum drop ipv6_reason(u8 first, u8 next)
{
	if (first >> 4 != 6)
		return DROP_IPV6_MALFORMED;
	if (is_extension(next))
		return DROP_IPV6_EXTENSION;
	if (next == ICMPV6)
		return DROP_ICMP_UNCLAIMED;
	return next == TCP ? DROP_TCP : DROP_PROTOCOL_UNKNOWN;
}

static ALWAYS_INLINE int ipv6(struct xdp_md *context, const u8 *at, const u8 *end, int is_group)
{
	if (at + IPV6_LEN > end)
		return XDP_PASS;

	const u8 *transport = at + IPV6_LEN;
	u8 next = at[6];
	int is_ipv6 = at[0] >> 4 == 6;

	/* A neighbour solicitation (RFC 4861 4.3) is for whom it asks, not for the group that it is sent to. */
	if (is_ipv6 && next == ICMPV6 && transport + SOLICITATION_LEN <= end && transport[0] == SOLICITATION
	    && is_owned_ipv6(transport + 8))
		return to_lane(context);
	if (is_group)
		return XDP_PASS;
	if (is_ipv6 && (next == UDP || next == ICMPV6) && transport + UDP_LEN <= end) {
		struct key key = { .protocol = next, .family = 6 };

		for (int word = 0; word < 4; word++)
			key.address[word] = load32(at + 24 + 4 * word);
		key.selector = next == UDP ? load16(transport + 2) : (u16)(transport[0] << 8);
		if (is_claimable(next == UDP, transport) && map_lookup(&claims, &key))
			return to_lane(context);
	}
	if (!is_owned_ipv6(at + 24))
		return XDP_PASS;
	if (is_ipv6 && next == UDP)
		return to_lane(context);
	return drop(ipv6_reason(at[0], next));
}

__attribute__((section("xdp"), used)) int lane(struct xdp_md *context)
{
	const u8 *at = (const u8 *)(u64)context->data;
	const u8 *end = (const u8 *)(u64)context->data_end;
	u32 zero = 0;
	const struct settings_value *own = map_lookup(&settings, &zero);

	if (!own || at + ETHERNET_LEN > end)
		return XDP_PASS;

	int is_ours = load32(at) == own->mac_first && load16(at + 4) == own->mac_last;
	int is_broadcast = load32(at) == 0xffffffff && load16(at + 4) == 0xffff;
	int is_group = at[0] & 1;

	if (!is_ours && !is_group)
		return XDP_PASS;

	u16 type = load16(at + 12);

	at += ETHERNET_LEN;
#pragma unroll
	for (int tags = 0; tags < 2; tags++) {
		if (type != BE16(0x8100) && type != BE16(0x88a8))
			break;
		if (at + VLAN_LEN > end || !is_served(own, at))
			return XDP_PASS;
		type = load16(at + 2);
		at += VLAN_LEN;
	}

	if (type == BE16(0x0800) && is_ours)
		return ipv4(context, at, end);
	if (type == BE16(0x86dd))
		return ipv6(context, at, end, is_group);
	if (type == BE16(0x0806) && (is_ours || is_broadcast))
		return arp(context, at, end);
	return XDP_PASS;
}
