// Package benchmarks holds what leatd is measured against.
//
// BareLoop is the least work that turns a container's log into requests for a log store, on one goroutine and without
// any promise: leatd as a whole may cost at most 1.8 times its CPU. TailFile is the way of reading that leatd does not
// take. Both are measured by
//
//	go test -bench . ./benchmarks
//
// Benchmarks of single stages stand beside their code. Whole agents, the bare loop among them, are compared from outside
// by `make compare`: package compare.
package benchmarks
