/* What is asked of whom: the options behind DPDK's own. What is wrong with one is one line, and exit code 2. */

/* The smallest frame of Ethernet and the largest without its checksum. */
enum { FRAME_MIN = 60, FRAME_MAX = 1514 };
enum { WINDOW_MAX = 4096, QUEUES_MAX = 8 };

/* Which checksums: every one, where DPDK sums one answer in SAMPLE besides, or all; or none. */
enum check { CHECK_SAMPLED, CHECK_FULL, CHECK_NO_SUMS };

/* Times are in seconds: for how long, until a question is given up, and until the whole run is. */

static struct {
	struct rte_ether_addr mac, own_mac;
	uint32_t ip, own_ip;
	unsigned port, size, window, queues;
	uint64_t count, seed;
	double seconds, timeout, patience;
	int is_icmp, by_lines, reopens;
	enum check check;
} ask = { .port = 7, .size = 60, .window = 1, .queues = 1, .seed = 1, .timeout = 1, .patience = 30 };

static void __rte_noreturn refuse(const char *form, ...)
{
	va_list values;

	va_start(values, form);
	fputs("dpdk-ask: ", stderr);
	vfprintf(stderr, form, values);
	fputc('\n', stderr);
	exit(2);
}

static const struct option OPTIONS[] = {
	{ "mac", 1, NULL, 'm' }, { "own-mac", 1, NULL, 'M' }, { "ip", 1, NULL, 'i' }, { "own-ip", 1, NULL, 'I' },
	{ "protocol", 1, NULL, 'p' }, { "port", 1, NULL, 'P' }, { "size", 1, NULL, 's' }, { "window", 1, NULL, 'w' },
	{ "queues", 1, NULL, 'q' }, { "count", 1, NULL, 'c' }, { "seconds", 1, NULL, 't' }, { "timeout", 1, NULL, 'T' },
	{ "patience", 1, NULL, 'W' }, { "seed", 1, NULL, 'S' }, { "check", 1, NULL, 'C' }, { "no-checksums", 0, NULL, 'N' },
	{ "by-lines", 0, NULL, 'L' }, { "reopen", 0, NULL, 'R' }, { NULL, 0, NULL, 0 },
};

/* The option that is being read. */
static const char *setting;

static double number(const char *text, double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= min && value <= max))
		refuse("--%s %s: write a number from %.15g to %.15g", setting, text, min, max);
	return value;
}

static uint32_t address(const char *text)
{
	unsigned a, b, c, d;
	char behind;

	if (sscanf(text, "%u.%u.%u.%u%c", &a, &b, &c, &d, &behind) != 4 || (a | b | c | d) > 255)
		refuse("--%s %s: write an IPv4 address", setting, text);
	return rte_cpu_to_be_32(RTE_IPV4(a, b, c, d));
}

static void mac(const char *text, struct rte_ether_addr *address)
{
	if (rte_ether_unformat_addr(text, address) != 0)
		refuse("--%s %s: write a MAC address", setting, text);
}

/* Which of two words it is: 0 the first, 1 the second. */
static int one_of(const char *text, const char *first, const char *second)
{
	if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
		refuse("--%s %s: write %s or %s", setting, text, first, second);
	return strcmp(text, second) == 0;
}

static void set(int option)
{
	switch (option) {
	case 'm': mac(optarg, &ask.mac); break;
	case 'M': mac(optarg, &ask.own_mac); break;
	case 'i': ask.ip = address(optarg); break;
	case 'I': ask.own_ip = address(optarg); break;
	case 'p': ask.is_icmp = one_of(optarg, "udp", "icmp"); break;
	case 'P': ask.port = number(optarg, 1, UINT16_MAX); break;
	case 's': ask.size = number(optarg, FRAME_MIN, FRAME_MAX); break;
	case 'w': ask.window = number(optarg, 1, WINDOW_MAX); break;
	case 'q': ask.queues = number(optarg, 1, QUEUES_MAX); break;
	case 'c': ask.count = number(optarg, 1, 1e15); break;
	case 't': ask.seconds = number(optarg, 1e-3, 1e6); break;
	case 'T': ask.timeout = number(optarg, 1e-6, 1e3); break;
	case 'W': ask.patience = number(optarg, 1e-3, 1e6); break;
	case 'S': ask.seed = number(optarg, 0, 1e15); break;
	case 'C': ask.check = one_of(optarg, "sampled", "full") ? CHECK_FULL : CHECK_SAMPLED; break;
	case 'N': ask.check = CHECK_NO_SUMS; break;
	case 'L': ask.by_lines = 1; break;
	case 'R': ask.reopens = 1; break;
	default: exit(2); /* getopt has said why */
	}
}

static void read_options(int count, char **words)
{
	int option, index = 0;

	while ((option = getopt_long(count, words, "", OPTIONS, &index)) != -1) {
		setting = OPTIONS[index].name;
		set(option);
	}
	if (optind < count)
		refuse("%s is no option", words[optind]);
	if (ask.ip == 0 || ask.own_ip == 0 || rte_is_zero_ether_addr(&ask.mac) || rte_is_zero_ether_addr(&ask.own_mac))
		refuse("--mac, --ip, --own-mac and --own-ip say who is asked and who asks: give all four");
	if ((ask.count > 0) + (ask.seconds > 0) + ask.by_lines != 1)
		refuse("--count, --seconds or --by-lines says when to end: give one");
}
