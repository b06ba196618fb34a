/* Answers: whether one is what it must be. Fields of a packet lie where they lie, so they are compared where they are. */

/* Of how many answers one is summed by DPDK too, where not all are. */
enum { SAMPLE = 1024 };

/* Two checksums that say the same: where ICMP's is 0, both zeros of ones' complement are right. */
static int same_sum(uint16_t a, uint16_t b)
{
	return a == b || (ask.is_icmp && (uint16_t)(a ^ b) == 0xffff && (a == 0 || b == 0));
}

/* Whether an IP header sums up to what it must, by its five words of 32 bits. */
static int ip_sum_is_right(const struct rte_ipv4_hdr *ip)
{
	uint32_t words[5];
	uint64_t sum;

	memcpy(words, ip, sizeof(words));
	sum = (uint64_t)words[0] + words[1] + words[2] + words[3] + words[4];
	return folded((sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32)) == 0xffff;
}

/* Whether DPDK's own functions find the checksums of IP and transport right. */
static int sums_by_dpdk(const struct rte_ipv4_hdr *ip, const uint8_t *l4)
{
	uint32_t sum = rte_raw_cksum(l4, ask.size - L4_AT);

	if (!ask.is_icmp)
		sum += rte_ipv4_phdr_cksum(ip, 0);
	return rte_raw_cksum(ip, sizeof(*ip)) == 0xffff && folded(sum) == 0xffff;
}

/* Whether the checksums of an answer to `number`, whose other bytes are right, are too. Counts what DPDK has summed. */
static int sums_are_right(const uint8_t *frame, uint64_t number, uint64_t *summed)
{
	const struct rte_ipv4_hdr *ip = (const void *)(frame + IP_AT);
	const uint8_t *l4 = frame + L4_AT;
	const struct rte_icmp_hdr *icmp = (const void *)l4;
	const struct rte_udp_hdr *udp = (const void *)l4;
	uint16_t found = ask.is_icmp ? icmp->icmp_cksum : udp->dgram_cksum;

	if (ask.check == CHECK_NO_SUMS)
		return 1;
	if (!ip_sum_is_right(ip) || !same_sum(found, checksum(&kinds[number % KINDS], number, 0)))
		return 0;
	if (ask.check == CHECK_SAMPLED && number % SAMPLE != 0)
		return 1;
	++*summed;
	return sums_by_dpdk(ip, l4);
}

/* Whether all of an answer but its checksums is what it must be. */
static int bytes_are_right(const uint8_t *frame, uint64_t number)
{
	const struct rte_ipv4_hdr *ip = (const void *)(frame + IP_AT), *wanted = (const void *)(answer_head + IP_AT);
	const uint16_t sequence = rte_cpu_to_be_16(number);

	return memcmp(frame, answer_head, IP_AT) == 0 && ip->version_ihl == wanted->version_ihl &&
	       ip->total_length == wanted->total_length && ip->next_proto_id == wanted->next_proto_id &&
	       (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) == 0 &&
	       ip->src_addr == wanted->src_addr && ip->dst_addr == wanted->dst_addr &&
	       /* UDP: ports and length. ICMP: type and code; identifier; sequence number. */
	       memcmp(frame + L4_AT, answer_head + L4_AT, ask.is_icmp ? 2 : 6) == 0 &&
	       (!ask.is_icmp || (memcmp(frame + L4_AT + 4, answer_head + L4_AT + 4, 2) == 0 &&
				 memcmp(frame + L4_AT + 6, &sequence, 2) == 0)) &&
	       memcmp(frame + CONTENT_AT, kinds[number % KINDS].frame + CONTENT_AT, ask.size - CONTENT_AT) == 0;
}

/* Whether a frame is one of ours or an answer to one at all: what is not tells nothing about the server's answers. */
static int is_ours(const struct rte_mbuf *mbuf)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	return mbuf->data_len >= CONTENT_AT && mbuf->nb_segs == 1 && memcmp(frame + 12, answer_head + 12, 2) == 0 &&
	       frame[IP_AT + 9] == answer_head[IP_AT + 9];
}
