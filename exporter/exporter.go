// Package exporter is what leatd serves: the ledger and everything else at /metrics, the probes, a page that leads there.
//
// # What it promises
//
// Figures are read, never kept: a scrape asks the lanes, and what it shows of one container in one sink was true at one
// moment, so that
//
//	read = delivered + dropped + pending
//
// holds in every scrape, in lines and in bytes. A counter never goes back while its series is there: when the account
// of a pod that is long gone leaves the ledger, what it had settled stays in every series that others still share (the
// same pod name again, a namespace, a whole sink).
//
// Each scrape checks it, and so does each audit, which is the same ledger by container and over the lanes' lifetimes, as
// JSON, with a verdict.
//
// The probes answer without credentials and never speak of a sink: a store that is down must not restart leatd, nor take
// it out of service. Everything else is behind what --web.config.file asks for.
//
// A collector that never returns costs a scrape its own figures and those of all collectors, but not the ledger's; and not
// one goroutine more for each scrape.
//
// # Who owns what
//
// The Registry is the one place to gather from, for a scrape as for a push. Those that come while another one gathers
// share its round and what it brings, which therefore nobody may change. The node's collectors are known apart, so that a
// scrape can choose among them (collect[], exclude[]); such a scrape gathers for itself.
//
// The Registry is a prometheus.Registry for whatever is registered with it, and the Ledger beside that: a node with 2,000
// containers has 22,000 series for each sink, and a prometheus.Registry takes each of them through a channel, a hash and a
// sort before anything is encoded. The Ledger keeps its series sorted and their labels already written, and is merged in by
// name when the answer is written. On one busy core a scrape of those, compressed, takes 41 ms the registry's way and 7 ms
// this way (BenchmarkScrape).
//
// A scrape works on a page of its own: the ledger is locked only while the rows are copied into it, not while
// it travels to a slow client. The lanes are never locked for longer than their own copy takes.
//
// What a client can cost is bounded: ten scrapes at once, a minute for each, ten seconds to say what it wants. So is what
// the ledger can show: beyond metrics.logs_max_series, containers are summed up in a series whose labels say other, which
// adds up like any.
package exporter
