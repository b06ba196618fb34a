/* The bare XDP_TX program: whatever comes goes back to where it came from, with nothing checked.
 *
 * It is the floor of what any answer can cost on a link: the driver has the frame, three pairs of addresses change
 * places, the driver sends it. It knows no address of its own, reads no table, verifies no checksum and counts nothing,
 * so that nobody should run it on a network; `barelane demo` runs it on a cable of its own, to be compared with.
 *
 *   Ethernet   source ⇄ destination
 *   IPv4       source ⇄ destination                    the header's checksum stays right: a sum knows no order
 *   UDP        source port ⇄ destination port          and so does UDP's
 *   ICMP       echo request → echo reply               8 less in the first word is 8 more in the checksum (RFC 1624)
 *
 * IPv4 without options, UDP and ICMP echo requests only: the rest is passed to the kernel, since an answer to an ARP
 * request or an ICMP error is not made by changing addresses.
 *
 * A veth sender leaves UDP checksums unfinished, and the other end believes only finished ones: its transmit checksum
 * offload must be off. What is sent by XDP_TX arrives at a veth's other end only where that has a program too: pass.c. */

#include "xdp.h"

enum { ECHO_REPLY = 0, ECHO_REQUEST = 8 };

static ALWAYS_INLINE void swap16(u16 *one, u16 *other)
{
	u16 kept = *one;

	*one = *other;
	*other = kept;
}

__attribute__((section("xdp"), used)) int swap(struct xdp_md *context)
{
	u16 *ethernet = (u16 *)(u64)context->data;
	u16 *ip = (u16 *)((u8 *)ethernet + ETHERNET_LEN);
	u16 *transport = (u16 *)((u8 *)ip + IPV4_LEN);
	u8 *end = (u8 *)(u64)context->data_end;

	if ((u8 *)transport + UDP_LEN > end || ethernet[6] != BE16(0x0800) || (u8)ip[0] != 0x45)
		return XDP_PASS;

	u8 protocol = ((u8 *)ip)[9];

	if (protocol == UDP) {
		swap16(&transport[0], &transport[1]);
	} else if (protocol == ICMP && transport[0] == BE16(ECHO_REQUEST << 8)) {
		u32 sum = transport[1] + BE16(ECHO_REQUEST << 8);

		transport[0] = BE16(ECHO_REPLY << 8);
		transport[1] = sum + (sum >> 16);
	} else {
		return XDP_PASS;
	}
	for (int word = 0; word < 3; word++)
		swap16(&ethernet[word], &ethernet[word + 3]);
	for (int word = 6; word < 8; word++)
		swap16(&ip[word], &ip[word + 2]);
	return XDP_TX;
}
