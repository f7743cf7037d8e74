// Package config reads what the owner of a node wants of leatd: the YAML file and the command line.
//
// It is plain data. Nothing here opens a log, a socket or a store, and no other package of the project is imported but the
// one that knows node_exporter's flags; cmd/leatd turns a [Config] into targets, lanes and sinks. The one foreign type is HTTPClientConfig of
// prometheus/common, so that TLS, passwords, tokens and proxies are written as in every Prometheus configuration.
//
// What it promises:
//
//   - A key that would do nothing is an error: keys that are unknown, given twice, or belong to another type of sink.
//   - All mistakes are reported at once, each with file, line and column, what to do, and the one line it stands in.
//   - No secret is ever printed: not in an error, and not with the %v of a [Config] or a [Sink]. The text of a value is
//     left out of the shown line wherever it is a secret or could be one: under an unknown key, in place of a mapping,
//     in a URL, in a file that is not YAML.
//   - A value from the environment is replaced after the YAML is read, in scalars only, so it cannot add a key.
//   - Any bytes give a Config or an error, never a panic.
//
// The way of a file: yaml.v3 parses it to nodes (they have the columns); a [decoder] walks the nodes and the structs
// side by side, replaces ${NAME}, fills in, checks ranges and collects problems; check.go looks at what concerns more
// than one key; problem.go shows the lines. yaml.v3's own decoding is not used: it reports no columns, stops at custom
// unmarshalers, and prints values.
package config
