/* The program that changes nothing: every frame is the kernel's.
 *
 * A veth flushes what the other end's program sends by XDP_TX only where this end has a program as well
 * (`veth_xdp_xmit` and `veth_xdp_flush` in drivers/net/veth.c: without one this end has no NAPI to wake). */

enum { XDP_PASS = 2 };

__attribute__((section("xdp"), used)) int pass(void *context)
{
	(void)context;
	return XDP_PASS;
}
