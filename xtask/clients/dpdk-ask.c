/* Asks a server through DPDK, in a closed loop, and compares every answer with what it must be, byte for byte.
 *
 *   dpdk-ask EAL-OPTIONS -- OPTIONS        any DPDK port will do; there must be one and no other
 *
 * A window of W questions is under way. Question number n is a frame of one of KINDS contents, which a seed gives, with n
 * at the beginning of its payload:
 *
 *   0          14      34          42       50                size
 *   | Ethernet | IPv4  | UDP, ICMP | n      | content[n % KINDS] |
 *
 * All but n and the checksum is written before the first question leaves, so that a question costs one copy and one sum of
 * four words. Its answer must have its addresses and ports the other way round and the same payload. What an answer's
 * transport checksum covers is thus known exactly, and so is the checksum: it is compared with every answer, and the IP
 * header's is summed. Where `--check full` says so, DPDK's own functions sum every answer besides; else one in SAMPLE, so
 * that they vouch for this file's arithmetic. Of the IP header the server's own are TTL, identification, TOS and DF.
 *
 * Every question has one fate: sent = answered + lost. What comes beside that is counted by itself: `late` after its
 * question was given up, `duplicated` after its answer, `corrupted` where it differs in anything, `foreign` where it is no
 * answer to this program at all. A corrupted answer is none: its question is lost in time.
 *
 * DPDK's memif client connects when its port is started, and never again. Where `--reopen` says so, a port whose link is
 * down is stopped and started. DPDK's thread that sees a peer go must have another core than the one
 * that polls (`--lcores` sees to it, under `taskset` it cannot): it would interrupt a poll and unmap what is polled.
 *
 * A round trip goes from the time-stamp counter before the burst is handed to DPDK to the one after the burst that brought
 * the answer. Answers a second are those of the whole run, and besides the rates of its milliseconds, as a distribution:
 * where a core is taken from either end, nothing is answered, and `rate_of_ms_p90` is the rate of the milliseconds in which
 * both had theirs, while these are more than a tenth.
 *
 * One JSON line a run goes to standard output. Exit code 0 where every answer was right, 1 where not, 2 for a wrong
 * setting. */

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_hexdump.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_udp.h>

#include "dpdk-ask/settings.h"
#include "dpdk-ask/questions.h"
#include "dpdk-ask/answers.h"
#include "dpdk-ask/ticks.h"

/* Frames of DPDK's: both rings of a zero-copy port hold RING_SIZE each, the core's cache and the window some more. */
enum { BURST = 32, RING_SIZE = 1024, BUFFERS = 16384, CACHED = 256 };
/* Fates are kept for the last SLOTS questions: twice the largest window, so that a late answer still has one. */
enum { SLOTS = 2 * WINDOW_MAX };
/* Empty polls between two looks at the clock, some microseconds: with fewer, the clock would be what is polled. */
enum { POLLS_PER_LOOK = 64 };

/* What became of one run's questions. */
struct run {
	uint64_t first, sent, answered, lost, late, duplicated, corrupted, foreign, summed;
	struct ticks ticks, rates;
	uint64_t rated_at, rated; /* when the millisecond began, and what had been answered by then */
	double seconds;
};

/* Per question: when it left, or what became of it. */
enum { IS_ANSWERED = 0, IS_LOST = 1, UNDER_WAY_MIN = 2 };
static uint64_t left_at[SLOTS];
/* Questions from `oldest` on may be under way; `next` has not left. Both count through all runs. */
static uint64_t oldest, next;
static unsigned under_way, rx_queue, tx_queue;
static uint64_t hz;
static struct rte_mempool *pool;
/* Whether the port is started, since DPDK must not be asked for bursts of one that is not; and when that was tried. */
static int is_open;
static uint64_t opened_at;
static volatile sig_atomic_t is_stopped;

/* ---- the port ---- */

static void open_port(void)
{
	struct rte_eth_conf settings = { 0 };
	int failure;

	if (rte_eth_dev_count_avail() != 1)
		refuse("%u ports: give one --vdev", rte_eth_dev_count_avail());
	pool = rte_pktmbuf_pool_create("frames", BUFFERS, CACHED, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		refuse("no memory for %d frames: -m gives more", BUFFERS);
	failure = rte_eth_dev_configure(0, ask.queues, ask.queues, &settings);
	for (unsigned q = 0; q < ask.queues && failure == 0; q++) {
		failure = rte_eth_rx_queue_setup(0, q, RING_SIZE, SOCKET_ID_ANY, NULL, pool);
		if (failure == 0)
			failure = rte_eth_tx_queue_setup(0, q, RING_SIZE, SOCKET_ID_ANY, NULL);
	}
	if (failure == 0)
		failure = rte_eth_dev_start(0);
	opened_at = rte_rdtsc();
	is_open = failure == 0;
	if (!is_open && !ask.reopens)
		refuse("the port does not start: %s", strerror(-failure));
}

/* Starts the port again where its link is down: soon where there was nobody to connect to, later where the handshake is on,
 * since a peer that maps a zero-copy client's whole memory needs some time for it. */
static void reopen(uint64_t now)
{
	struct rte_eth_link link;

	if (now - opened_at < (is_open ? 5 * hz : hz / 5))
		return;
	if (is_open && (rte_eth_link_get_nowait(0, &link) != 0 || link.link_status == RTE_ETH_LINK_UP))
		return;
	opened_at = now;
	rte_eth_dev_stop(0);
	is_open = rte_eth_dev_start(0) == 0;
}

/* ---- a burst out, a burst in ---- */

/* Sends up to a burst of what the window has room for. What the port does not take has not been asked. */
static void send_burst(struct run *run, uint64_t wanted)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t room = RTE_MIN(wanted, RTE_MIN(SLOTS - (next - oldest), (uint64_t)BURST)), now;
	uint16_t taken;

	if (room == 0 || rte_pktmbuf_alloc_bulk(pool, mbufs, room) != 0)
		return;
	for (unsigned i = 0; i < room; i++)
		write_question(mbufs[i], next + i);
	now = rte_rdtsc();
	taken = rte_eth_tx_burst(0, tx_queue, mbufs, room);
	rte_pktmbuf_free_bulk(mbufs + taken, room - taken);
	for (unsigned i = 0; i < taken; i++)
		left_at[next++ % SLOTS] = now;
	under_way += taken;
	run->sent += taken;
	tx_queue = tx_queue + 1 == ask.queues ? 0 : tx_queue + 1;
}

/* Decides what one frame is, and counts it. */
static void take(struct run *run, const struct rte_mbuf *mbuf, uint64_t now)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint64_t number, *left;

	if (!is_ours(mbuf)) {
		run->foreign++;
		return;
	}
	memcpy(&number, frame + NUMBER_AT, sizeof(number));
	number = rte_be_to_cpu_64(number);
	if (mbuf->data_len != ask.size || number >= next || !bytes_are_right(frame, number) ||
	    !sums_are_right(frame, number, &run->summed)) {
		if (run->corrupted++ == 0)
			rte_hexdump(stderr, "dpdk-ask: the first corrupted answer", frame, mbuf->data_len);
		return;
	}
	left = &left_at[number % SLOTS];
	if (next - number > SLOTS || number < run->first || *left == IS_LOST) {
		run->late++;
	} else if (*left == IS_ANSWERED) {
		run->duplicated++;
	} else {
		ticks_add(&run->ticks, now - *left);
		*left = IS_ANSWERED;
		run->answered++;
		under_way--;
	}
}

/* Takes up to a burst of answers; gives the instant at which they were seen, or 0 where there were none. */
static uint64_t receive_burst(struct run *run)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t count = rte_eth_rx_burst(0, rx_queue, mbufs, BURST);
	uint64_t now = count > 0 ? rte_rdtsc() : 0;

	rx_queue = rx_queue + 1 == ask.queues ? 0 : rx_queue + 1;
	for (unsigned i = 0; i < count; i++)
		take(run, mbufs[i], now);
	rte_pktmbuf_free_bulk(mbufs, count);
	return now;
}

/* ---- the loop ---- */

/* Gives up what has waited too long, and goes past what is decided. */
static void settle(struct run *run, uint64_t now, uint64_t timeout)
{
	for (; oldest < next; oldest++) {
		uint64_t *left = &left_at[oldest % SLOTS];

		if (*left >= UNDER_WAY_MIN) {
			if (now < *left + timeout)
				return;
			*left = IS_LOST;
			run->lost++;
			under_way--;
		}
	}
}

/* The rate of a millisecond that is over. */
static void note_rate(struct run *run, uint64_t now)
{
	if (now < run->rated_at + hz / 1000)
		return;
	ticks_add(&run->rates, (run->answered - run->rated) * hz / (now - run->rated_at));
	run->rated_at = now;
	run->rated = run->answered;
}

/* Asks until `count` have been asked (0: no limit) or `seconds` are over (0: no limit), and until each has its fate. Gives
 * up where nothing is answered for as long as `patience`. */
static void go(struct run *run, unsigned window, uint64_t count, double seconds)
{
	uint64_t start = rte_rdtsc(), now = start, last = start, end = seconds > 0 ? start + seconds * hz : UINT64_MAX;
	unsigned polls = 0;

	run->first = next;
	run->rated_at = start;
	for (;;) {
		uint64_t left = now >= end || is_stopped ? 0 : count > 0 ? count - run->sent : UINT64_MAX, seen;

		if (left == 0 && under_way == 0)
			break;
		if (is_open && under_way < window)
			send_burst(run, RTE_MIN(left, (uint64_t)window - under_way));
		seen = is_open ? receive_burst(run) : 0;
		if (seen != 0) {
			now = last = seen;
		} else if (++polls % POLLS_PER_LOOK == 0) {
			now = rte_rdtsc();
			if (now - last > ask.patience * hz)
				is_stopped = 1;
			if (ask.reopens && now - last > hz / 100)
				reopen(now);
		}
		settle(run, now, ask.timeout * hz);
		note_rate(run, now);
	}
	run->seconds = (double)(rte_rdtsc() - start) / hz;
}

static void print(const struct run *run, unsigned window)
{
	const double ns = 1e9 / hz;

	printf("{\"protocol\":\"%s\",\"size_bytes\":%u,\"window\":%u,\"sent\":%" PRIu64 ",\"answered\":%" PRIu64
	       ",\"lost\":%" PRIu64 ",\"late\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"corrupted\":%" PRIu64
	       ",\"foreign\":%" PRIu64 ",\"summed_by_dpdk\":%" PRIu64 ",\"seconds\":%.6f,\"answers_per_second\":%.0f",
	       ask.is_icmp ? "icmp" : "udp", ask.size, window, run->sent, run->answered, run->lost, run->late, run->duplicated,
	       run->corrupted, run->foreign, run->summed, run->seconds, run->answered / run->seconds);
	if (run->answered > 0)
		printf(",\"rtt_min_ns\":%.0f,\"rtt_p50_ns\":%.0f,\"rtt_p90_ns\":%.0f,\"rtt_p99_ns\":%.0f"
		       ",\"rtt_p99_9_ns\":%.0f,\"rtt_max_ns\":%.0f",
		       run->ticks.min * ns, ticks_at(&run->ticks, 0.5) * ns, ticks_at(&run->ticks, 0.9) * ns,
		       ticks_at(&run->ticks, 0.99) * ns, ticks_at(&run->ticks, 0.999) * ns, run->ticks.max * ns);
	if (run->rates.count > 0)
		printf(",\"rate_of_ms_p50\":%.0f,\"rate_of_ms_p90\":%.0f", ticks_at(&run->rates, 0.5), ticks_at(&run->rates, 0.9));
	puts("}");
	fflush(stdout);
}

/* One run and its line; gives whether every question had its right answer and nothing else came. */
static int measure(unsigned window, uint64_t count, double seconds)
{
	static struct run run;

	run = (struct run){ .ticks.min = UINT64_MAX, .rates.min = UINT64_MAX };
	go(&run, window, count, seconds);
	print(&run, window);
	return run.sent > 0 && run.answered == run.sent && run.late + run.duplicated + run.corrupted == 0;
}

/* Asks one at a time until something comes back: a link that is up does not mean a server that answers. */
static int is_answered(void)
{
	static struct run run;
	const uint64_t end = rte_rdtsc() + ask.patience * hz;

	while (run.answered + run.corrupted == 0 && rte_rdtsc() < end && !is_stopped)
		go(&run, 1, 0, 0.01);
	return run.answered + run.corrupted > 0;
}

/* Runs as lines of standard input say them, `WINDOW SECONDS`: between two of them this program sleeps. */
static int measure_by_lines(void)
{
	char line[64];
	unsigned window;
	double seconds;
	int is_right = 1;

	while (!is_stopped && fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%u %lf", &window, &seconds) != 2 || window < 1 || window > WINDOW_MAX || !(seconds > 0))
			refuse("the line \"%.*s\": write WINDOW SECONDS, a window of 1 to %d", (int)strcspn(line, "\n"), line, WINDOW_MAX);
		is_right &= measure(window, 0, seconds);
	}
	return is_right;
}

static void stop(int signal)
{
	(void)signal;
	is_stopped = 1;
}

int main(int count, char **words)
{
	int taken = rte_eal_init(count, words), is_right;

	if (taken < 0)
		refuse("DPDK does not start: %s", rte_strerror(rte_errno));
	read_options(count - taken, words + taken);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	hz = rte_get_tsc_hz();
	write_kinds();
	open_port();
	fputs("dpdk-ask: the port is open\n", stderr);
	is_right = is_answered();
	fputs(is_right ? "dpdk-ask: ready\n" : "dpdk-ask: nothing is answered\n", stderr);
	if (is_right)
		is_right = ask.by_lines ? measure_by_lines() : measure(ask.window, ask.count, ask.seconds);
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return is_right ? 0 : 1;
}
