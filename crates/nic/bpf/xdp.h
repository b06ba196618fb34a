/* What every XDP program here needs of the kernel and of the compiler. No other header is included and no library is
 * linked: the code depends on these files and the compiler's version alone. */

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
enum { XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3, XDP_REDIRECT = 4 };

enum { ETHERNET_LEN = 14, VLAN_LEN = 4, ARP_LEN = 28, IPV4_LEN = 20, IPV6_LEN = 40, UDP_LEN = 8 };
enum { HOP_BY_HOP = 0, ICMP = 1, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT = 44, ESP = 50, AH = 51, ICMPV6 = 58 };
