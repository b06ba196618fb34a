/* Questions: KINDS frames that are written before the first one leaves, and what each question adds to its kind. */

enum { KINDS = 64 };
/* Where things lie in a frame, and how an own port or ICMP identifier reads. */
enum { IP_AT = 14, L4_AT = 34, NUMBER_AT = 42, CONTENT_AT = 50, OWN_PORT = 0xba7e };

struct kind {
	uint8_t *frame;
	uint32_t sum; /* of all that the transport checksum covers but the number and ICMP's type */
};

static struct kind kinds[KINDS];
/* An answer's headers as they must be, but for checksums and for what of the IP header is the server's own. */
static uint8_t answer_head[NUMBER_AT];

/* The next of a seeded sequence (splitmix64). */
static uint64_t random_after(uint64_t *state)
{
	uint64_t word = *state += 0x9e3779b97f4a7c15;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
	word = (word ^ word >> 27) * 0x94d049bb133111eb;
	return word ^ word >> 31;
}

static uint16_t folded(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return sum + (sum >> 16);
}

/* The sum of a question number's words; where ICMP is asked, the sequence number's too, which is the number's last word. */
static uint32_t sum_of(uint64_t number)
{
	uint64_t big = rte_cpu_to_be_64(number);
	uint32_t sum = (big & 0xffff) + (big >> 16 & 0xffff) + (big >> 32 & 0xffff) + (big >> 48);

	return ask.is_icmp ? sum + (big >> 48) : sum;
}

/* The checksum of question `number`, or of its answer, whose type is the only other word that differs. */
static uint16_t checksum(const struct kind *kind, uint64_t number, unsigned icmp_type)
{
	uint16_t sum = ~folded(kind->sum + sum_of(number) + icmp_type);

	return sum == 0 && !ask.is_icmp ? 0xffff : sum;
}

/* In either direction: from us to the server as written, to us with all addresses and ports the other way round. */
static void write_head(uint8_t *frame, int is_answer)
{
	struct rte_ether_hdr *ether = (void *)frame;
	struct rte_ipv4_hdr *ip = (void *)(frame + IP_AT);
	struct rte_udp_hdr *udp = (void *)(frame + L4_AT);
	struct rte_icmp_hdr *icmp = (void *)(frame + L4_AT);

	ether->dst_addr = is_answer ? ask.own_mac : ask.mac;
	ether->src_addr = is_answer ? ask.mac : ask.own_mac;
	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){ .version_ihl = RTE_IPV4_VHL_DEF, .time_to_live = 64,
		.total_length = rte_cpu_to_be_16(ask.size - IP_AT), .fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.next_proto_id = ask.is_icmp ? IPPROTO_ICMP : IPPROTO_UDP,
		.src_addr = is_answer ? ask.ip : ask.own_ip, .dst_addr = is_answer ? ask.own_ip : ask.ip };
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	if (ask.is_icmp)
		*icmp = (struct rte_icmp_hdr){ .icmp_type = RTE_IP_ICMP_ECHO_REPLY, .icmp_ident = RTE_BE16(OWN_PORT) };
	else
		*udp = (struct rte_udp_hdr){ .src_port = is_answer ? rte_cpu_to_be_16(ask.port) : RTE_BE16(OWN_PORT),
			.dst_port = is_answer ? RTE_BE16(OWN_PORT) : rte_cpu_to_be_16(ask.port),
			.dgram_len = rte_cpu_to_be_16(ask.size - L4_AT) };
}

static void write_kinds(void)
{
	/* Whole cache lines each, one behind the other: a power of two would put them all into the same few sets. */
	size_t room = RTE_ALIGN_CEIL(ask.size, RTE_CACHE_LINE_SIZE);
	uint8_t *frames = aligned_alloc(RTE_CACHE_LINE_SIZE, KINDS * room);
	uint64_t state = ask.seed, word;

	for (unsigned k = 0; k < KINDS; k++) {
		uint8_t *frame = kinds[k].frame = frames + k * room;
		const struct rte_ipv4_hdr *ip = (void *)(frame + IP_AT);

		write_head(frame, 0);
		memset(frame + NUMBER_AT, 0, CONTENT_AT - NUMBER_AT);
		for (unsigned at = CONTENT_AT; at < ask.size; at++) {
			word = random_after(&state);
			frame[at] = word;
		}
		kinds[k].sum = rte_raw_cksum(frame + L4_AT, ask.size - L4_AT);
		if (ask.is_icmp)
			frame[L4_AT] = RTE_IP_ICMP_ECHO_REQUEST;
		else
			kinds[k].sum += rte_ipv4_phdr_cksum(ip, 0);
	}
	write_head(answer_head, 1);
}

static void write_question(struct rte_mbuf *mbuf, uint64_t number)
{
	const struct kind *kind = &kinds[number % KINDS];
	uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint64_t big = rte_cpu_to_be_64(number);

	mbuf->data_len = mbuf->pkt_len = ask.size;
	rte_memcpy(frame, kind->frame, ask.size);
	memcpy(frame + NUMBER_AT, &big, sizeof(big));
	if (ask.is_icmp) {
		struct rte_icmp_hdr *icmp = (void *)(frame + L4_AT);

		icmp->icmp_seq_nb = big >> 48;
		icmp->icmp_cksum = checksum(kind, number, RTE_IP_ICMP_ECHO_REQUEST);
	} else {
		((struct rte_udp_hdr *)(frame + L4_AT))->dgram_cksum = checksum(kind, number, 0);
	}
}
