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

/* The sum over `len` bytes from `at`, below SUMMED_MAX; says 0 where the frame ends before.
 *
 * Words of four bytes, so that no carry is ever lost in 64 bits. Each block looks at the frame's end once. Behind the
 * blocks the address is made anew from the length, so that the verifier sees one way to the rest and not one for each
 * number of blocks. */
static ALWAYS_INLINE int sum(const u8 *start, const u8 *end, u32 len, u64 *total)
{
	u64 sum = *total;
	u32 rest = len & (BLOCK - 1);

#pragma nounroll
	for (u32 offset = 0; offset < SUMMED_MAX; offset += BLOCK) {
		const u8 *at = start + offset;

		if (offset + BLOCK > len)
			break;
		if (at + BLOCK > end)
			return 0;
		sum += sum8(at) + sum8(at + 8) + sum8(at + 16) + sum8(at + 24);
	}

	const u8 *at = start + (len & (SUMMED_MAX - BLOCK));

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
