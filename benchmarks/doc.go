// Package benchmarks holds what leatd is measured against.
//
// BareLoop and BareLoopOTLP are the least work that turns a container's log into requests for a log store, on one goroutine
// and without any promise: leatd as a whole is to cost at most 1.4 and 1.3 times their CPU. TailFile is the way of
// reading that leatd does not take. All are measured by
//
//	go test -bench . ./benchmarks
//
// Benchmarks of single stages stand beside their code. Whole agents, the bare loop among them, are compared from outside
// by `make compare`: package compare.
package benchmarks
