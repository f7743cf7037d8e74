package tail

// A line is what a parser found in one line of a file, the line's own newline not included.
type line struct {
	time   int64  // ns since the Unix epoch
	body   []byte // a piece of the line that was parsed; docker's is decoded in place
	stderr bool
	part   bool // the body goes on in the next line of the same stream
}

// A format is how a container runtime writes a line.
type format uint8

const (
	unknown format = iota
	formatCRI
	formatDocker
	formatRaw // no runtime's: each line is a body as it is
)

// detect tells from a file's first line, without its newline, which runtime writes the file. It goes by content alone,
// since names and folders say nothing reliable: unknown is neither format, and what that means is the caller's choice.
// A first line of which the end is missing is good enough for formatCRI, whose header comes first, but not for
// formatDocker, whose time comes last. b is not changed.
func detect(b []byte) format {
	var c clock
	var l line
	var m message
	switch {
	case c.cri(b, &l):
		return formatCRI
	case c.scan(b, &m):
		return formatDocker
	}
	return unknown
}
