/* The Internet checksum (RFC 1071), in memory order as crates/wire/src/checksum.rs has it: nothing is ever swapped. */

/* The most bytes that are summed: more than the longest packet whose buffer is one page. */
enum { SUMMED_MAX = 4096, BLOCK = 32 };

static ALWAYS_INLINE u16 load16(const u8 *at)
{
	return *(const u16 *)at;
}

static ALWAYS_INLINE u32 load32(const u8 *at)
{
	return *(const u32 *)at;
}

static ALWAYS_INLINE u64 load64(const u8 *at)
{
	return *(const u64 *)at;
}

static ALWAYS_INLINE u64 sum8(const u8 *at)
{
	return (u64)load32(at) + load32(at + 4);
}

/* Sixteen bits in memory order. Zero only where everything summed was zero. */
static ALWAYS_INLINE u16 fold(u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum + (sum >> 16);
}

static ALWAYS_INLINE u32 be16(u16 value)
{
	return __builtin_bswap16(value);
}

/* Keeps the compiler from computing with the frame's end, which the verifier forbids, in place of this address. */
#define HIDE(address) __asm__ volatile("" : "+r"(address))

/* The sum over `len` bytes from `start`, below SUMMED_MAX; says 0 where the frame ends before.
 *
 * Words of four bytes, so that no carry is ever lost in 64 bits. Each block looks at the frame's end once.
 *
 * Two things are for the verifier, which would else go through the rest of the program once for each block in which the
 * loop can end, 100 times over. What it learns in the loop of a number, or of how far a frame reaches, it keeps apart. So
 * the loop is given a length that nobody reads behind it: `field` is where the packet says it, `less` what it says too much.
 * And it has an address of its own, and a sum of unknown size: both begin with a `zero` of which only the writer of the
 * image knows that it is one. */
static ALWAYS_INLINE int sum(const u8 *start, const u8 *end, u32 len, const u8 *field, u32 less, u32 zero, u64 *total)
{
	const u8 *at = start + (zero & 1);
	u64 sum = *total + ((u64)zero << 32 | zero);
	u32 rest = len & (BLOCK - 1), blocks = (be16(*(const volatile u16 *)field) - less) / BLOCK;

#pragma nounroll
	for (u32 block = 0; block < SUMMED_MAX / BLOCK; block++) {
		if (block >= blocks)
			break;
		const u8 *next = at + BLOCK;

		HIDE(next);
		if (next > end)
			return 0;
		sum += sum8(next - 32) + sum8(next - 24) + sum8(next - 16) + sum8(next - 8);
		at = next;
	}

	at = start + (len & (SUMMED_MAX - BLOCK));

	if (rest & 16) {
		if (at + 16 > end)
			return 0;
		sum += sum8(at) + sum8(at + 8);
		at += 16;
	}
	if (rest & 8) {
		if (at + 8 > end)
			return 0;
		sum += sum8(at);
		at += 8;
	}
	if (rest & 4) {
		if (at + 4 > end)
			return 0;
		sum += load32(at);
		at += 4;
	}
	if (rest & 2) {
		if (at + 2 > end)
			return 0;
		sum += load16(at);
		at += 2;
	}
	if (rest & 1) {
		if (at + 1 > end)
			return 0;
		sum += *at;
	}
	*total = sum;
	return 1;
}
