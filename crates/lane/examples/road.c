/* The least that a straight C function takes to answer the same questions with the same checks over the same rings, for
 * `cargo xtask bench --road`. It knows one address, one port and IPv4, and compares where a lane looks up; it is a memif
 * server's: an answer is written straight into the peer's buffer. `copied`, it copies a packet before it looks at it, as a
 * lane does; `in-place` it looks at packets where the peer can change them under its eyes.
 *
 *   road CLASS FILE copied|in-place        FILE has the question; prints the median of nanoseconds a packet */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, ROUNDS = 20000, SLOTS = 1024, MASK = SLOTS - 1, STRIDE = 2048 + 64, BUFFER = 2048 };

struct slot { uint16_t flags, region; uint32_t length, offset, metadata; };
struct ring {
	uint32_t cookie; uint16_t flags, head; uint8_t line0[56];
	uint16_t tail; uint8_t line1[62];
	struct slot slots[SLOTS];
};

enum fate { RX, ARP, ICMP, UDP, TRUNCATED, ETHERTYPE, NOT_OURS, SOURCE_MAC, VERSION, LENGTH, HEADER_SUM, FRAGMENT,
	SOURCE, UNCLAIMED, PROTOCOL, UDP_LENGTH, UDP_SUM, UDP_PORT, ICMP_SUM, ARP_ODD, FULL, CHAINED, BAD_BUFFER, FATES };

struct server {
	uint8_t *memory; uint32_t size;
	struct ring *rx, *tx;
	uint16_t rx_next, tx_next;
	uint8_t mac[6]; uint32_t ip, broadcast;
	uint64_t refused_ports[1024];
	uint64_t counts[FATES];
	int copies;
	uint8_t room[BUFFER];
};

static uint16_t be16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static uint32_t word(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* The Internet checksum's sum, folded (RFC 1071). */
static uint32_t sum(const uint8_t *p, uint32_t len, uint64_t start)
{
	uint64_t s = start;
	for (; len >= 4; p += 4, len -= 4) s += word(p);
	if (len >= 2) { s += be16(p); p += 2; len -= 2; }
	if (len) s += *p;
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return s;
}

static int may_ask(const struct server *s, uint32_t src)
{
	uint8_t first = (uint8_t)src;
	return first != 0 && first != 127 && first < 224 && src != s->broadcast && src != s->ip;
}

/* What becomes of one packet: its fate, and for an answer its length, written to `out`. */
static enum fate answer(struct server *s, const uint8_t *in, uint32_t len, uint8_t *out, uint32_t *out_len)
{
	if (len < 14) return TRUNCATED;
	if (be16(in + 12) == htobe16(0x0806)) {
		if (len < 42) return TRUNCATED;
		if (memcmp(in + 14, "\0\1\x08\0\6\4", 6) != 0) return ARP_ODD;
		if (word(in + 38) != s->ip) return UNCLAIMED;
		if (memcmp(in, s->mac, 6) != 0 && memcmp(in, "\xff\xff\xff\xff\xff\xff", 6) != 0) return NOT_OURS;
		if (in[6] & 1 || memcmp(in + 6, s->mac, 6) == 0) return SOURCE_MAC;
		if (in[22] & 1 || memcmp(in + 22, s->mac, 6) == 0 || word(in + 28) == s->ip) return ARP_ODD;
		if (be16(in + 20) != htobe16(1)) return ARP_ODD;
		memcpy(out, in + 22, 6); memcpy(out + 6, s->mac, 6); memcpy(out + 12, in + 12, 8);
		out[20] = 0; out[21] = 2;
		memcpy(out + 22, s->mac, 6); memcpy(out + 28, &s->ip, 4); memcpy(out + 32, in + 22, 10);
		memset(out + 42, 0, 18);
		*out_len = 60;
		return ARP;
	}
	if (be16(in + 12) != htobe16(0x0800)) return ETHERTYPE;
	const uint8_t *ip = in + 14;
	if (len < 34) return TRUNCATED;
	if (ip[0] != 0x45) return VERSION;
	uint32_t total = be16toh(be16(ip + 2));
	if (total < 20 || total > len - 14) return LENGTH;
	if (sum(ip, 20, 0) != 0xffff) return HEADER_SUM;
	if (be16(ip + 6) & htobe16(0x3fff)) return FRAGMENT;
	if (word(ip + 16) != s->ip) return UNCLAIMED;
	if (memcmp(in, s->mac, 6) != 0) return NOT_OURS;
	if (in[6] & 1 || memcmp(in + 6, s->mac, 6) == 0) return SOURCE_MAC;
	uint32_t src = word(ip + 12), rest = total - 20;
	const uint8_t *l4 = ip + 20;
	enum fate fate;
	if (ip[9] == 17) {
		if (rest < 8) return UDP_LENGTH;
		if (be16(l4 + 2) != htobe16(7)) return UNCLAIMED;
		uint32_t udp_len = be16toh(be16(l4 + 4));
		if (udp_len < 8 || udp_len != rest) return UDP_LENGTH;
		if (!may_ask(s, src)) return SOURCE;
		uint16_t port = be16toh(be16(l4));
		if (s->refused_ports[port >> 6] >> (port & 63) & 1) return UDP_PORT;
		if (be16(l4 + 6) != 0) {
			uint64_t pseudo = (uint64_t)src + s->ip + htobe16(17) + be16(l4 + 4);
			if (sum(l4, rest, pseudo) != 0xffff) return UDP_SUM;
		}
		fate = UDP;
	} else if (ip[9] == 1) {
		if (rest < 8) return LENGTH;
		if (be16(l4) != htobe16(0x0800)) return UNCLAIMED;
		if (!may_ask(s, src)) return SOURCE;
		if (sum(l4, rest, 0) != 0xffff) return ICMP_SUM;
		fate = ICMP;
	} else return PROTOCOL;
	memcpy(out, in + 6, 6); memcpy(out + 6, s->mac, 6); memcpy(out + 12, in + 12, 2);
	uint8_t *o = out + 14;
	memcpy(o, ip, 4);
	memset(o + 4, 0, 2); o[6] = 0x40; o[7] = 0; o[8] = 64; o[9] = ip[9]; memset(o + 10, 0, 2);
	memcpy(o + 12, &s->ip, 4); memcpy(o + 16, &src, 4);
	uint16_t header = ~sum(o, 20, 0);
	memcpy(o + 10, &header, 2);
	if (fate == UDP) {
		memcpy(o + 20, l4 + 2, 2); memcpy(o + 22, l4, 2);
		memcpy(o + 24, l4 + 4, rest - 4);
	} else {
		o[20] = 0; o[21] = 0;
		uint32_t check = (uint32_t)be16(l4 + 2) + htobe16(0x0800);
		check = (check & 0xffff) + (check >> 16);
		uint16_t folded = check;
		memcpy(o + 22, &folded, 2);
		memcpy(o + 24, l4 + 4, rest - 4);
	}
	uint32_t end = 14 + total;
	if (end < 60) { memset(out + end, 0, 60 - end); end = 60; }
	*out_len = end;
	return fate;
}

static __attribute__((noinline)) int turn(struct server *s)
{
	uint16_t waiting = __atomic_load_n(&s->rx->head, __ATOMIC_ACQUIRE) - s->rx_next;
	uint16_t room = __atomic_load_n(&s->tx->head, __ATOMIC_ACQUIRE) - s->tx_next;
	if (waiting > SLOTS || room > SLOTS) abort();
	int taken = waiting > BATCH ? BATCH : waiting;
	for (int i = 0; i < taken; i++) {
		struct slot in = s->rx->slots[s->rx_next++ & MASK];
		s->counts[RX]++;
		if (in.flags & 1) { s->counts[CHAINED]++; continue; }
		if (in.length - 1 >= BUFFER || in.region != 0 || in.offset > s->size - in.length) { s->counts[BAD_BUFFER]++; continue; }
		if (room == 0) { s->counts[FULL]++; continue; }
		struct slot *slot = &s->tx->slots[s->tx_next & MASK], out = *slot;
		if (out.length < in.length || out.region != 0 || out.offset > s->size - BUFFER) { s->counts[FULL]++; continue; }
		uint32_t len = 0;
		const uint8_t *packet = s->memory + in.offset;
		if (s->copies) packet = memcpy(s->room, packet, in.length);
		enum fate fate = answer(s, packet, in.length, s->memory + out.offset, &len);
		s->counts[fate]++;
		if (len == 0) continue;
		slot->flags = 0; slot->length = len;
		s->tx_next++; room--;
	}
	__atomic_store_n(&s->tx->tail, s->tx_next, __ATOMIC_RELEASE);
	__atomic_store_n(&s->rx->tail, s->rx_next, __ATOMIC_RELEASE);
	return taken;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static struct server s;
	static uint64_t times[ROUNDS];
	static uint8_t question[BUFFER];
	FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;
	if (file == NULL) { fprintf(stderr, "road CLASS FILE copied|in-place\n"); return 2; }
	s.copies = strcmp(argv[3], "copied") == 0;
	uint32_t len = fread(question, 1, sizeof question, file);

	s.size = 2 * sizeof(struct ring) + 2 * SLOTS * STRIDE;
	int fd = memfd_create("road", 0);
	if (fd < 0 || ftruncate(fd, s.size) != 0) return 1;
	s.memory = mmap(NULL, s.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (s.memory == MAP_FAILED) return 1;
	s.rx = (struct ring *)s.memory;
	s.tx = s.rx + 1;
	uint32_t buffers = 2 * sizeof(struct ring);
	for (int i = 0; i < SLOTS; i++) {
		s.rx->slots[i] = (struct slot){ .offset = buffers + i * STRIDE, .length = BUFFER };
		s.tx->slots[i] = (struct slot){ .offset = buffers + (SLOTS + i) * STRIDE, .length = BUFFER };
	}
	s.tx->head = SLOTS;
	/* Whom the question is for is us. */
	int is_arp = strcmp(argv[1], "arp") == 0;
	memcpy(&s.ip, question + (is_arp ? 38 : 30), 4);
	memcpy(s.mac, is_arp ? (const uint8_t *)"\2\0\0\0\0\1" : question, 6);
	s.broadcast = s.ip | ~htobe32(0xffffff00);
	s.refused_ports[0] |= 1 << 7;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < BATCH; i++) {
			struct slot *slot = &s.rx->slots[s.rx->head & MASK];
			memcpy(s.memory + slot->offset, question, len);
			slot->length = len;
			s.rx->head++;
		}
		uint64_t began = now();
		int taken = turn(&s);
		times[round] = now() - began;
		if (taken != BATCH) return 1;
		/* The peer takes the answers and gives its buffers anew. */
		while (s.tx->head != (uint16_t)(s.tx_next + SLOTS))
			s.tx->slots[s.tx->head++ & MASK].length = BUFFER;
	}
	enum fate fate = is_arp ? ARP : strcmp(argv[1], "udp") == 0 ? UDP : strcmp(argv[1], "icmp") == 0 ? ICMP : HEADER_SUM;
	if (s.counts[fate] != (uint64_t)ROUNDS * BATCH) {
		for (int i = 0; i < FATES; i++) if (s.counts[i]) fprintf(stderr, "fate %d: %lu\n", i, s.counts[i]);
		return 1;
	}
	qsort(times, ROUNDS, sizeof times[0], by_size);
	printf("%.2f\n", (double)times[ROUNDS / 2] / BATCH);
	return 0;
}
